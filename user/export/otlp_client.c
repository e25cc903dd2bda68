// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "export/otlp_backoff.h"
#include "export/otlp_post.h"
#include "export/otlp_queue.h"

#define QUEUE_BYTES   (64u << 20)
#define CLOSE_MS      1000
#define CLOSE_REST_MS 100 /* of these for all but the last request */
#define WARN_EVERY_MS 60000

struct otlp {
	pthread_t thread;
	pthread_mutex_t lock; /* guards the next three */
	bool stopping;
	int64_t stop_at_ms;
	struct otlp_stats stats;
	/* not changed once the thread runs */
	struct metrics_source source;
	char *url, *name;
	char host[256];
	uint32_t interval_ms, timeout_ms;
	struct otlp_post *post;
	/* the thread's own */
	struct otlp_queue queue;
	struct otlp_export *sending; /* one of its requests is under way, or waits for its turn */
	int64_t next_export_ms, next_try_ms, warned_ms;
	struct otlp_backoff backoff;
	uint64_t lost_unwarned;
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* -- figures ------------------------------------------------------------------------------------
 */

static void count(struct otlp *otlp, uint64_t *counter, uint64_t n)
{
	pthread_mutex_lock(&otlp->lock);
	*counter += n;
	otlp->stats.queued = otlp->queue.len + (otlp->sending != NULL);
	pthread_mutex_unlock(&otlp->lock);
}

static void set_error(struct otlp *otlp, const char *error)
{
	pthread_mutex_lock(&otlp->lock);
	snprintf(otlp->stats.last_error, sizeof(otlp->stats.last_error), "%s", error);
	otlp->stats.last_error_ms = clock_ms(CLOCK_REALTIME);
	pthread_mutex_unlock(&otlp->lock);
}

/* One line a minute. */
static void warn(struct otlp *otlp, const char *error)
{
	int64_t now = monotonic_ms();

	set_error(otlp, error);
	if (otlp->warned_ms && now - otlp->warned_ms < WARN_EVERY_MS)
		return;
	otlp->warned_ms = now;
	log_warn("otlp %s: %s; %zu exports wait, %" PRIu64 " dropped", otlp->name, error,
		 otlp->queue.len + (otlp->sending != NULL), otlp->lost_unwarned);
	otlp->lost_unwarned = 0;
}

static void count_dropped(struct otlp *otlp, uint64_t n)
{
	otlp->lost_unwarned += n;
	count(otlp, &otlp->stats.dropped, n);
}

/* -- making an export ---------------------------------------------------------------------------
 */

/* Make the next one and queue it. */
static void export_queue(struct otlp *otlp)
{
	struct otlp_export *export = otlp_export_take(&otlp->source, otlp->host);

	if (!export) {
		count(otlp, &otlp->stats.unmade, 1);
		warn(otlp, "no memory for an export");
		return;
	}
	count_dropped(otlp, otlp_queue_add(&otlp->queue, export));
}

/* -- sending ------------------------------------------------------------------------------------
 */

static void on_accepted(struct otlp *otlp, const struct otlp_answer *answer)
{
	struct otlp_export *export = otlp->sending;

	if (otlp_backoff_is_on(&otlp->backoff))
		log_info("otlp %s: exports are accepted again", otlp->name);
	otlp_backoff_end(&otlp->backoff);
	otlp->next_try_ms = 0;
	count(otlp, &otlp->stats.rejected_points, answer->rejected_points);
	if (answer->error[0])
		warn(otlp, answer->error);
	if (++export->sent < export->len)
		return;
	otlp->sending = NULL;
	otlp_export_free(export);
	count(otlp, &otlp->stats.exported, 1);
}

static void on_refused(struct otlp *otlp, const struct otlp_answer *answer)
{
	otlp_export_free(otlp->sending);
	otlp->sending = NULL;
	otlp_backoff_end(&otlp->backoff);
	otlp->next_try_ms = 0;
	count(otlp, &otlp->stats.failed, 1);
	warn(otlp, answer->error);
}

static void on_again(struct otlp *otlp, const struct otlp_answer *answer)
{
	struct otlp_export *export = otlp->sending;

	otlp->sending = NULL;
	if (!otlp_queue_put_back(&otlp->queue, export))
		count_dropped(otlp, 1);
	otlp->next_try_ms =
		monotonic_ms() + otlp_backoff_next(&otlp->backoff, answer->retry_after_s);
	warn(otlp, answer->error);
}

static void on_answer(struct otlp *otlp, const struct otlp_answer *answer)
{
	switch (answer->result) {
	case OTLP_ACCEPTED: on_accepted(otlp, answer); break;
	case OTLP_REFUSED: on_refused(otlp, answer); break;
	case OTLP_AGAIN: on_again(otlp, answer); break;
	}
}

/* The next request of the oldest export, if nothing is under way. */
static void send_next(struct otlp *otlp, uint32_t timeout_ms)
{
	struct otlp_answer failed = {.result = OTLP_AGAIN, .error = "no memory"};
	struct otlp_export *export = otlp->sending;

	if (otlp_post_busy(otlp->post))
		return;
	if (!export)
		export = otlp->sending = otlp_queue_take(&otlp->queue);
	if (!export)
		return;
	if (otlp_backoff_is_on(&otlp->backoff))
		count(otlp, &otlp->stats.retried, 1);
	if (otlp_post_start(otlp->post, export->requests[export->sent], timeout_ms) != 0)
		on_again(otlp, &failed);
}

/* -- the thread ---------------------------------------------------------------------------------
 */

static bool is_stopping(struct otlp *otlp)
{
	bool stopping;

	pthread_mutex_lock(&otlp->lock);
	stopping = otlp->stopping;
	pthread_mutex_unlock(&otlp->lock);
	return stopping;
}

/* How long nothing has to be done but for what libcurl itself waits for. */
static int idle_ms(const struct otlp *otlp, int64_t now)
{
	int64_t until = otlp->next_export_ms;

	if (!otlp_post_busy(otlp->post) && (otlp->sending || otlp->queue.first) &&
	    otlp->next_try_ms < until)
		until = otlp->next_try_ms;
	return until > now ? (int)(until - now) : 0;
}

static void turn(struct otlp *otlp)
{
	int64_t now = monotonic_ms();
	struct otlp_answer answer;

	if (now >= otlp->next_export_ms) {
		export_queue(otlp);
		otlp->next_export_ms += otlp->interval_ms;
		if (otlp->next_export_ms <= now)
			otlp->next_export_ms = now + otlp->interval_ms;
	}
	if (now >= otlp->next_try_ms)
		send_next(otlp, otlp->timeout_ms);
	if (otlp_post_step(otlp->post, &answer))
		on_answer(otlp, &answer);
	else
		otlp_post_wait(otlp->post, idle_ms(otlp, monotonic_ms()));
}

/* Give up all that waits or is under way. */
static void drop_all(struct otlp *otlp)
{
	uint64_t dropped = otlp_queue_clear(&otlp->queue) + (otlp->sending != NULL);

	otlp_post_abort(otlp->post);
	otlp_export_free(otlp->sending);
	otlp->sending = NULL;
	count_dropped(otlp, dropped);
}

/*
 * The newest figures hold all that the queued ones do: one attempt for these alone, whatever is
 * under way is given up.
 */
static void say_goodbye(struct otlp *otlp)
{
	struct otlp_answer answer;
	int64_t left;

	drop_all(otlp);
	otlp_backoff_end(&otlp->backoff);
	export_queue(otlp);
	while ((left = otlp->stop_at_ms - CLOSE_REST_MS - monotonic_ms()) > 0) {
		send_next(otlp, (uint32_t)left);
		if (!otlp_post_busy(otlp->post))
			break;
		if (!otlp_post_step(otlp->post, &answer)) {
			otlp_post_wait(otlp->post, (int)left);
			continue;
		}
		on_answer(otlp, &answer);
		if (answer.result != OTLP_ACCEPTED)
			break;
	}
	drop_all(otlp);
}

static void *thread_main(void *arg)
{
	struct otlp *otlp = arg;

	while (!is_stopping(otlp))
		turn(otlp);
	say_goodbye(otlp);
	return NULL;
}

/* All signals stay with the other threads. */
static int start_thread(struct otlp *otlp)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&otlp->thread, NULL, thread_main, otlp);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(otlp->thread, "otlp");
	return -err;
}

/* -- life ---------------------------------------------------------------------------------------
 */

static void otlp_free(struct otlp *otlp)
{
	otlp_post_free(otlp->post);
	pthread_mutex_destroy(&otlp->lock);
	free(otlp->url);
	free(otlp->name);
	free(otlp);
	curl_global_cleanup();
}

static int otlp_set_up(struct otlp *otlp, const struct otlp_options *options, char *error,
		       size_t len)
{
	int err = otlp_url_parse(options->endpoint, &otlp->url, &otlp->name, error, len);
	unsigned int seed;

	if (err)
		return err;
	snprintf(otlp->stats.endpoint, sizeof(otlp->stats.endpoint), "%s", otlp->name);
	otlp->interval_ms = options->interval_ms ? options->interval_ms : 1;
	otlp->timeout_ms = options->timeout_ms ? options->timeout_ms : 1;
	otlp->queue.max_len = options->queue ? options->queue : 1;
	otlp->queue.max_bytes = QUEUE_BYTES;
	otlp->next_export_ms = monotonic_ms() + otlp->interval_ms;
	if (gethostname(otlp->host, sizeof(otlp->host)) != 0)
		otlp->host[0] = '\0';
	otlp->host[sizeof(otlp->host) - 1] = '\0';
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (unsigned int)getpid();
	otlp_backoff_set_up(&otlp->backoff, otlp->interval_ms, seed);
	err = otlp_post_new(otlp->url, options->mark, &otlp->post);
	return err ? err : start_thread(otlp);
}

int otlp_open(const struct otlp_options *options, const struct metrics_source *source,
	      struct otlp **out, char *error, size_t len)
{
	struct otlp *otlp;
	int err;

	if (len)
		error[0] = '\0';
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	otlp = calloc(1, sizeof(*otlp));
	if (!otlp) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	otlp->source = *source;
	pthread_mutex_init(&otlp->lock, NULL);
	err = otlp_set_up(otlp, options, error, len);
	if (err) {
		if (len && !error[0])
			snprintf(error, len, "%s", strerrordesc_np(-err));
		otlp_free(otlp);
		return err;
	}
	*out = otlp;
	return 0;
}

void otlp_close(struct otlp *otlp)
{
	if (!otlp)
		return;
	pthread_mutex_lock(&otlp->lock);
	otlp->stopping = true;
	otlp->stop_at_ms = monotonic_ms() + CLOSE_MS;
	pthread_mutex_unlock(&otlp->lock);
	otlp_post_wake(otlp->post);
	pthread_join(otlp->thread, NULL);
	otlp_free(otlp);
}

void otlp_read_stats(struct otlp *otlp, struct otlp_stats *out)
{
	pthread_mutex_lock(&otlp->lock);
	*out = otlp->stats;
	pthread_mutex_unlock(&otlp->lock);
}
