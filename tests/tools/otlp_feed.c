// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An OTLP exporter with figures that a test chooses, to see what becomes of every one of them.
 *
 *   otlp_feed URL INTERVAL_MS TIMEOUT_MS QUEUE SERIES
 *
 * Reads commands, a line each, and answers each with a line:
 *   add SERIES COUNT MICROSECONDS   COUNT more requests took so long; answer "added"
 *   stats                           answer: otlp_read_stats as JSON
 *   close                           otlp_close; answer: the figures just before, as JSON
 * Ends by itself after "close" or at the end of its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/log.h"
#include "export/json_add.h"
#include "export/otlp_client.h"

#define SERIES_MAX 5000

struct feed {
	pthread_mutex_t lock;
	struct series *series;
	size_t len;
	int64_t start_ms;
};

static int64_t wall_ms(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* -- the exporter's source ----------------------------------------------------------------------
 */

static int series_copy(struct series *to, const struct series *from)
{
	int err;

	*to = *from;
	histogram_init(&to->first_byte_us);
	histogram_init(&to->last_byte_us);
	err = histogram_copy(&to->first_byte_us, &from->first_byte_us);
	if (!err)
		err = histogram_copy(&to->last_byte_us, &from->last_byte_us);
	return err;
}

/* Its snapshots are this program's own make. */
__attribute__((weak)) void aggregate_snapshot_free(struct aggregate_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->series_len; i++) {
		histogram_free(&snapshot->series[i].first_byte_us);
		histogram_free(&snapshot->series[i].last_byte_us);
	}
	free(snapshot->series);
}

static int read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	struct feed *feed = ctx;
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->series = calloc(feed->len, sizeof(*out->series));
	if (!out->series)
		return -ENOMEM;
	pthread_mutex_lock(&feed->lock);
	for (size_t i = 0; !err && i < feed->len; i++, out->series_len++)
		err = series_copy(&out->series[i], &feed->series[i]);
	out->start_ms = feed->start_ms;
	out->time_ms = wall_ms();
	pthread_mutex_unlock(&feed->lock);
	if (err)
		aggregate_snapshot_free(out);
	return err;
}

static void read_stats(void *ctx, struct stats_sum *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

static void read_summary(void *ctx, struct control_summary *out)
{
	const struct feed *feed = ctx;

	memset(out, 0, sizeof(*out));
	out->version = "feed";
	out->pid = getpid();
	out->start_ms = feed->start_ms;
}

static void read_observer(void *ctx, struct observer_status *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

/* -- figures ------------------------------------------------------------------------------------
 */

static int feed_init(struct feed *feed, size_t len)
{
	pthread_mutex_init(&feed->lock, NULL);
	feed->start_ms = wall_ms();
	feed->len = len;
	feed->series = calloc(len, sizeof(*feed->series));
	for (size_t i = 0; feed->series && i < len; i++) {
		struct series_key *key = &feed->series[i].key;

		key->direction = i % 2 ? OBSERVE_INCOMING : OBSERVE_OUTGOING;
		snprintf(key->server_name, sizeof(key->server_name), "service%zu.example", i);
		key->endpoint.in.sin_family = AF_INET;
		key->endpoint.in.sin_port = htons(443);
		key->endpoint.in.sin_addr.s_addr = htonl(0xc0000200 + (uint32_t)i);
		strcpy(key->method, "GET");
		snprintf(key->uri, sizeof(key->uri), "/things/%zu", i);
		key->status = 200;
		key->grpc_status = -1;
		key->version = OBSERVE_HTTP_2;
		key->tls_version = 0x0304;
		key->tls_suite = 0x1301;
		strcpy(key->command, "feed");
		feed->series[i].first_seen_ms = feed->start_ms;
	}
	return feed->series ? 0 : -ENOMEM;
}

static void feed_free(struct feed *feed)
{
	for (size_t i = 0; i < feed->len; i++) {
		histogram_free(&feed->series[i].first_byte_us);
		histogram_free(&feed->series[i].last_byte_us);
	}
	free(feed->series);
	pthread_mutex_destroy(&feed->lock);
}

static bool feed_add(struct feed *feed, size_t number, uint64_t count, uint64_t us)
{
	struct series *series = &feed->series[number];
	int err = 0;

	pthread_mutex_lock(&feed->lock);
	for (uint64_t i = 0; !err && i < count; i++) {
		err = histogram_add(&series->last_byte_us, us);
		if (!err)
			err = histogram_add(&series->first_byte_us, us / 2);
		series->count++;
		series->request_bytes.sum += 100;
		series->response_bytes.sum += 1000;
		series->response_body.sum += 900;
		series->response_body.min = series->response_body.max = 900;
	}
	series->last_seen_ms = wall_ms();
	pthread_mutex_unlock(&feed->lock);
	return !err;
}

/* -- commands -----------------------------------------------------------------------------------
 */

static void print_stats(struct otlp *otlp)
{
	cJSON *object = cJSON_CreateObject();
	struct otlp_stats stats;
	char *text = NULL;

	otlp_read_stats(otlp, &stats);
	if (json_add_u64(object, "exported", stats.exported) &&
	    json_add_u64(object, "failed", stats.failed) &&
	    json_add_u64(object, "retried", stats.retried) &&
	    json_add_u64(object, "dropped", stats.dropped) &&
	    json_add_u64(object, "unmade", stats.unmade) &&
	    json_add_u64(object, "rejected_points", stats.rejected_points) &&
	    json_add_u64(object, "queued", stats.queued) &&
	    json_add_text(object, "last_error", stats.last_error))
		text = cJSON_PrintUnformatted(object);
	puts(text ? text : "no memory");
	cJSON_free(text);
	cJSON_Delete(object);
}

static void serve(struct feed *feed, struct otlp *otlp)
{
	uint64_t number, count, us;
	char line[128];

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "add %" SCNu64 " %" SCNu64 " %" SCNu64, &number, &count, &us) ==
			    3 &&
		    number < feed->len) {
			puts(feed_add(feed, number, count, us) ? "added" : "no memory");
		} else if (strcmp(line, "stats\n") == 0 || strcmp(line, "close\n") == 0) {
			print_stats(otlp);
		} else {
			puts("what?");
		}
		fflush(stdout);
		if (line[0] == 'c')
			return;
	}
}

int main(int argc, char **argv)
{
	struct otlp_options options;
	struct metrics_source source = {NULL, read_stats, read_summary, read_aggregate,
					read_observer};
	struct feed feed;
	struct otlp *otlp;
	char error[256];
	long series = argc == 6 ? strtol(argv[5], NULL, 10) : 0;

	if (series < 1 || series > SERIES_MAX) {
		fputs("usage: otlp_feed URL INTERVAL_MS TIMEOUT_MS QUEUE SERIES\n", stderr);
		return 2;
	}
	log_setup(LOG_LEVEL_INFO, false);
	options = (struct otlp_options){argv[1], (uint32_t)strtoul(argv[2], NULL, 10),
					(uint32_t)strtoul(argv[3], NULL, 10),
					(uint32_t)strtoul(argv[4], NULL, 10)};
	source.ctx = &feed;
	if (feed_init(&feed, (size_t)series) != 0 ||
	    otlp_open(&options, &source, &otlp, error, sizeof(error)) != 0) {
		fprintf(stderr, "otlp_feed: %s\n", error);
		return 1;
	}
	serve(&feed, otlp);
	otlp_close(otlp);
	feed_free(&feed);
	return 0;
}
