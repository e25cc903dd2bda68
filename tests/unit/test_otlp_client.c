// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "export/otlp_client.h"
#include "export/otlp_post.h"
#include "export/otlp_queue.h"
#include "http_answers.h"
#include "process_count.h"
#include "snapshot_maker.h"

/* -- figures ------------------------------------------------------------------------------------
 */

static void read_stats(void *ctx, struct stats_sum *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

static void read_summary(void *ctx, struct control_summary *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
	out->version = "1";
}

static void read_observer(void *ctx, struct observer_status *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

/* Snapshots that were taken count up: the number tells one export from another. */
static int read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	atomic_int *taken = ctx;

	memset(out, 0, sizeof(*out));
	out->start_ms = MADE_START;
	out->time_ms = MADE_TIME;
	out->series_evicted = (uint64_t)atomic_fetch_add(taken, 1) + 1;
	return 0;
}

static atomic_int taken;
static const struct metrics_source source = {
	.ctx = &taken,
	.read_stats = read_stats,
	.read_summary = read_summary,
	.read_aggregate = read_aggregate,
	.read_observer = read_observer,
};

/* -- what a test holds --------------------------------------------------------------------------
 */

struct fixture {
	struct http_answers server;
	struct otlp *otlp;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	assert_non_null(*state);
	atomic_store(&taken, 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	otlp_close(f->otlp);
	if (f->server.port)
		http_answers_end(&f->server);
	free(f);
	return 0;
}

static void open_at(struct fixture *f, uint16_t port, uint32_t timeout_ms, uint32_t queue)
{
	char url[64], error[128];
	struct otlp_options options = {url, 30, timeout_ms, queue, NULL};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	assert_int_equal(otlp_open(&options, &source, &f->otlp, error, sizeof(error)), 0);
}

/* Wait until `done` holds; a bound for what hangs. */
static void await(struct fixture *f, bool (*done)(const struct otlp_stats *),
		  struct otlp_stats *out)
{
	int64_t until = now_ms() + 30000;

	do {
		poll(NULL, 0, 2);
		otlp_read_stats(f->otlp, out);
	} while (!done(out) && now_ms() < until);
	assert_true(done(out));
}

static bool exported_2(const struct otlp_stats *s)
{
	return s->exported >= 2;
}

static bool failed_2(const struct otlp_stats *s)
{
	return s->failed >= 2;
}

static bool dropped_3(const struct otlp_stats *s)
{
	return s->dropped >= 3;
}

static bool retried_2(const struct otlp_stats *s)
{
	return s->retried >= 2;
}

/* -- tests --------------------------------------------------------------------------------------
 */

static void test_urls(void **state)
{
	static const char *const bad[] = {"",
					  "collector:4318",
					  "ftp://a/",
					  "file:///etc/x",
					  "http://",
					  "http://a b/",
					  "http://a:99999/",
					  "/v1/metrics",
					  "unix:///tmp/x"};
	char error[128], *url, *name;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		error[0] = '\0';
		assert_int_equal(otlp_url_parse(bad[i], &url, &name, error, sizeof(error)),
				 -EINVAL);
		assert_true(strlen(error) > 10);
		assert_null(url);
		assert_null(name);
	}
	assert_int_equal(otlp_url_parse("https://u:secret@c.example:4318/x?token=s#f", &url, &name,
					error, sizeof(error)),
			 0);
	assert_string_equal(url, "https://u:secret@c.example:4318/x?token=s");
	assert_string_equal(name, "https://c.example:4318/x");
	free(url);
	free(name);
	assert_int_equal(otlp_url_parse("http://[::1]:4318", &url, &name, error, sizeof(error)), 0);
	assert_string_equal(url, "http://[::1]:4318/v1/metrics");
	free(url);
	free(name);
}

static void test_open_refuses_a_bad_url(void **state)
{
	struct otlp_options options = {"gopher://x", 1000, 1000, 1, NULL};
	struct otlp *otlp = NULL;
	char error[128];

	(void)state;
	assert_int_equal(otlp_open(&options, &source, &otlp, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "http"));
	assert_null(otlp);
}

static void test_exports_are_posted_as_json(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;
	const char *body;
	cJSON *root;

	f->server.answers[0] = HTTP_ANSWER("200 OK", "Content-Type: application/json\r\n", "{}");
	http_answers_start(&f->server);
	open_at(f, f->server.port, 5000, 5);
	await(f, exported_2, &stats);
	assert_int_equal(stats.failed + stats.dropped + stats.retried + stats.rejected_points, 0);
	assert_string_equal(stats.last_error, "");
	assert_int_equal(strncmp(f->server.first, "POST /v1/metrics HTTP/1.1\r\n", 27), 0);
	assert_non_null(strstr(f->server.first, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(f->server.first, "\r\nUser-Agent: ksplit/"));
	body = strstr(f->server.first, "\r\n\r\n") + 4;
	root = cJSON_Parse(body);
	assert_non_null(cJSON_GetObjectItem(root, "resourceMetrics"));
	cJSON_Delete(root);
}

static bool told_why(const struct otlp_stats *s)
{
	return s->failed >= 1 && s->last_error[0];
}

/* The collector says again what it was sent: the URL's password and the token in its query. */
static void test_secrets_of_the_url_are_not_told(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;
	struct otlp_options options = {NULL, 30, 5000, 5, 0};
	char url[96], endpoint[96], error[128];
	time_t start = time(NULL);

	f->server.answers[0] = HTTP_ANSWER("400 Bad Request", "",
					   "{\"message\":\"hunter2 with SECRET is unknown\"}");
	http_answers_start(&f->server);
	snprintf(url, sizeof(url), "http://feeder:hunter2@127.0.0.1:%u/in?token=SECRET",
		 f->server.port);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u/in", f->server.port);
	options.endpoint = url;
	assert_int_equal(otlp_open(&options, &source, &f->otlp, error, sizeof(error)), 0);
	await(f, told_why, &stats);
	assert_string_equal(stats.endpoint, endpoint);
	assert_string_equal(stats.last_error, "the collector answers with status 400");
	assert_in_range(stats.last_error_ms / 1000, start, time(NULL));
}

static void test_refused_exports_are_dropped_and_counted(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;

	f->server.answers[0] = HTTP_ANSWER("400 Bad Request", "", "no");
	f->server.answers[1] = HTTP_ANSWER("301 Moved", "Location: http://127.0.0.1:1/\r\n", "");
	f->server.answers[2] = HTTP_ANSWER("200 OK", "", "what is this");
	http_answers_start(&f->server);
	open_at(f, f->server.port, 5000, 5);
	await(f, failed_2, &stats);
	await(f, exported_2, &stats);
	assert_int_equal(stats.failed, 2);
	assert_int_equal(stats.retried, 0);
	assert_string_equal(stats.last_error, "the collector answers with status 301");
}

static void test_a_busy_collector_is_asked_again(void **state)
{
	struct fixture *f = *state;
	int64_t start = now_ms();
	struct otlp_stats stats;

	f->server.answers[0] = HTTP_ANSWER("503 Busy", "Retry-After: 1\r\n", "");
	f->server.answers[1] = "garbage, no HTTP\r\n\r\n";
	f->server.answers[2] = HTTP_ANSWER("429 Slow down", "", "");
	f->server.answers[3] = HTTP_ANSWER("200 OK", "", "{}");
	http_answers_start(&f->server);
	open_at(f, f->server.port, 5000, 100);
	await(f, exported_2, &stats);
	assert_true(now_ms() - start >= 1000); /* the collector's word counts */
	assert_int_equal(stats.retried, 3);
	assert_int_equal(stats.failed + stats.dropped, 0);
}

static void test_rejected_points_are_counted(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;

	f->server.answers[0] = HTTP_ANSWER("200 OK", "",
					   "{\"partialSuccess\":{\"rejectedDataPoints\":\"7\","
					   "\"errorMessage\":\"too\\nold\"}}");
	f->server.answers[1] =
		HTTP_ANSWER("200 OK", "", "{\"partialSuccess\":{\"rejectedDataPoints\":2}}");
	f->server.answers[2] = HTTP_ANSWER("200 OK", "", "{}");
	http_answers_start(&f->server);
	open_at(f, f->server.port, 5000, 5);
	await(f, exported_2, &stats);
	assert_int_equal(stats.rejected_points, 9);
	assert_int_equal(stats.failed, 0);
}

/* Nobody listens: the queue stays bounded, and snapshots are taken all the same. */
static void test_an_absent_collector_costs_a_bounded_queue(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;

	open_at(f, 1, 1000, 2);
	await(f, dropped_3, &stats);
	assert_true(stats.queued <= 3);
	assert_int_equal(stats.exported, 0);
	await(f, retried_2, &stats);
	assert_true(stats.last_error[0]);
}

/* A collector that takes the request and is silent: time-out, snapshots go on, the end comes soon.
 */
static void test_a_silent_collector_holds_up_nothing(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats stats;
	int64_t start;

	http_answers_start(&f->server);
	open_at(f, f->server.port, 600000, 2);
	await(f, dropped_3, &stats);
	assert_int_equal(atomic_load(&f->server.requests), 1);
	start = now_ms();
	otlp_close(f->otlp);
	f->otlp = NULL;
	assert_true(now_ms() - start < 10000); /* the time-out is ten minutes */
}

/* The last figures are sent at the end, with those before still under way or not. */
static void test_close_sends_the_last_figures(void **state)
{
	struct fixture *f = *state;
	char url[64], error[128];
	struct otlp_options options = {url, 3600000, 5000, 3, 0};
	int threads = count_threads(), fds;

	f->server.answers[0] = HTTP_ANSWER("200 OK", "", "{}");
	http_answers_start(&f->server);
	fds = count_fds();
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", f->server.port);
	assert_int_equal(otlp_open(&options, &source, &f->otlp, error, sizeof(error)), 0);
	otlp_close(f->otlp);
	f->otlp = NULL;
	assert_int_equal(atomic_load(&f->server.requests), 1);
	assert_non_null(strstr(f->server.first, "\"asInt\":\"1\""));
	assert_threads(threads + 1); /* the server's */
	assert_int_equal(count_fds(), fds);
}

static void test_an_endless_answer_is_cut(void **state)
{
	struct fixture *f = *state;
	char *answer = malloc(200000);
	struct otlp_stats stats;

	memset(answer, 'x', 200000);
	memcpy(answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	answer[199999] = '\0';
	f->server.answers[0] = answer;
	http_answers_start(&f->server);
	open_at(f, f->server.port, 5000, 5);
	await(f, exported_2, &stats);
	assert_int_equal(stats.retried, 0);
	otlp_close(f->otlp);
	f->otlp = NULL;
	http_answers_end(&f->server);
	f->server.port = 0;
	free(answer);
}

static struct otlp_export *sized(size_t bytes)
{
	struct otlp_export *export = otlp_export_new(0);

	assert_non_null(export);
	export->bytes = bytes;
	return export;
}

static void test_the_queue_drops_its_oldest(void **state)
{
	struct otlp_queue queue = {.max_len = 3, .max_bytes = 100};
	struct otlp_export *export;

	(void)state;
	assert_int_equal(otlp_queue_add(&queue, sized(10)), 0);
	assert_int_equal(otlp_queue_add(&queue, sized(20)), 0);
	assert_int_equal(otlp_queue_add(&queue, sized(30)), 0);
	assert_int_equal(otlp_queue_add(&queue, sized(40)), 1); /* too many */
	export = otlp_queue_take(&queue);
	assert_int_equal(export->bytes, 20);
	assert_true(otlp_queue_put_back(&queue, export));
	assert_int_equal(queue.bytes, 90);
	export = otlp_queue_take(&queue);
	assert_int_equal(otlp_queue_add(&queue, sized(31)), 1); /* too large: 30 goes */
	assert_true(otlp_queue_put_back(&queue, export));
	assert_int_equal(queue.bytes, 91);
	export = otlp_queue_take(&queue);
	export->bytes = 30;
	assert_false(otlp_queue_put_back(&queue, export)); /* 101: freed */
	assert_int_equal(queue.len, 2);
	assert_int_equal(otlp_queue_add(&queue, sized(1000)), 2);
	assert_int_equal(queue.len, 1);
	assert_int_equal(otlp_queue_clear(&queue), 1);
	assert_int_equal(queue.bytes, 0);
	assert_null(otlp_queue_take(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_open_refuses_a_bad_url),
		cmocka_unit_test_setup_teardown(test_exports_are_posted_as_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secrets_of_the_url_are_not_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_refused_exports_are_dropped_and_counted,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_busy_collector_is_asked_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_rejected_points_are_counted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_absent_collector_costs_a_bounded_queue,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_silent_collector_holds_up_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_close_sends_the_last_figures, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_endless_answer_is_cut, set_up, tear_down),
		cmocka_unit_test(test_the_queue_drops_its_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
