// SPDX-License-Identifier: GPL-2.0-or-later
#include <cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "export/metrics_http.h"
#include "export/metrics_json.h"
#include "export/metrics_listen.h"
#include "metrics_maker.h"

#define ANSWER_MAX (1024 * 1024)

struct made {
	struct made_source made;
	struct metrics_source source;
	struct metrics_http *http;
	uint16_t port;
	char *answer;
};

static int made_open(struct made *made, const char *listen, char *error, size_t error_len)
{
	make_source(&made->made, &made->source);
	return metrics_http_open(listen, -1, &made->source, &made->http, error, error_len);
}

static int setup(void **state)
{
	struct made *made = calloc(1, sizeof(*made));
	char error[200];

	assert_non_null(made);
	made->answer = malloc(ANSWER_MAX);
	assert_non_null(made->answer);
	assert_int_equal(made_open(made, ":0", error, sizeof(error)), 0);
	made->port = metrics_http_port(made->http);
	assert_int_not_equal(made->port, 0);
	*state = made;
	return 0;
}

static int teardown(void **state)
{
	struct made *made = *state;

	metrics_http_close(made->http);
	free(made->answer);
	free(made);
	return 0;
}

static int dial(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval patience = {.tv_sec = 60};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* Send, read to the end; the status. The answer is terminated in made->answer. */
static int ask(struct made *made, const char *request)
{
	size_t used = 0;
	ssize_t n;
	int fd = dial(made->port), status = 0;

	/* Less is sent where the server has seen enough. */
	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	while ((n = read(fd, made->answer + used, ANSWER_MAX - 1 - used)) > 0)
		used += (size_t)n;
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
	made->answer[used] = '\0';
	assert_int_equal(sscanf(made->answer, "HTTP/1.%*d %d", &status), 1);
	return status;
}

static int get(struct made *made, const char *path, const char *host)
{
	char request[512];

	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
	return ask(made, request);
}

static const char *body(const struct made *made)
{
	const char *end = strstr(made->answer, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void assert_has(const struct made *made, const char *text)
{
	if (!strstr(made->answer, text))
		fail_msg("no \"%s\" in:\n%.2000s", text, made->answer);
}

static void test_metrics(void **state)
{
	struct made *made = *state;

	assert_int_equal(get(made, "/metrics", "localhost"), 200);
	assert_has(made, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_has(made, "X-Content-Type-Options: nosniff\r\n");
	assert_has(made, "\n# TYPE http_client_request_duration_seconds histogram\n");
	assert_has(made, "\nksplit_http_requests_total{url_template=\"other\"} ");
	assert_null(strcasestr(made->answer, "access-control-allow"));
}

static void test_page(void **state)
{
	struct made *made = *state;

	assert_int_equal(get(made, "/", "localhost:1"), 200);
	assert_has(made, "Content-Type: text/html; charset=utf-8\r\n");
	assert_has(made, "Content-Security-Policy: default-src 'none'; script-src 'sha256-");
	assert_has(made, "connect-src 'self'");
	assert_int_equal(strncmp(body(made), "<!DOCTYPE html>", 15), 0);
	assert_non_null(strstr(body(made), "</html>"));
	assert_null(strstr(body(made), "innerHTML"));
	assert_null(strstr(body(made), "https://"));
}

static double number(const cJSON *object, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(value))
		fail_msg("%s is not a number", name);
	return value->valuedouble;
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsString(value))
		fail_msg("%s is not a text", name);
	return value->valuestring;
}

static const cJSON *find(const cJSON *data, const char *array, const char *name, const char *value)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(data, array))
	{
		const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, name);

		if (cJSON_IsString(member) && !strcmp(member->valuestring, value))
			return item;
	}
	fail_msg("no %s \"%s\" in %s", name, value, array);
	return NULL;
}

static void test_snapshot(void **state)
{
	struct made *made = *state;
	const cJSON *item;
	cJSON *data;

	assert_int_equal(get(made, "/api/v1/snapshot", "127.0.0.1:9464"), 200);
	assert_has(made, "Content-Type: application/json\r\n");
	for (const char *p = body(made); *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	data = cJSON_Parse(body(made));
	assert_non_null(data);
	assert_int_equal(number(data, "series_total"), MADE_SERIES);
	item = find(data, "series", "uri", "/orders?page&q");
	assert_string_equal(text(item, "server"), "shop.example");
	assert_string_equal(text(item, "method"), "POST");
	assert_int_equal(number(item, "status"), 201);
	assert_true(number(item, "p50_us") > 20000 && number(item, "p50_us") < 60000);
	assert_true(number(item, "p99_us") >= number(item, "p90_us"));
	item = find(data, "series", "server",
		    "evil\"\\\\x0a<b>\\x01\\xff{}\\xe2\\x80\\xae.example");
	assert_string_equal(text(item, "uri"), "/<img src=x onerror=alert(1)>\"\\\\x0a\xc3\xa9");
	item = find(data, "endpoints", "server", "pay.example");
	assert_string_equal(text(item, "address"), "2001:db8::7");
	assert_true(number(item, "p50_us") > 0);
	assert_true(number(item, "directions") >= number(item, "kernel_directions"));
	cJSON_Delete(data);
}

/* The buckets that the page makes quantiles of hold every request that has a latency. */
static void test_latency_buckets_are_of_all_series(void **state)
{
	struct metrics_moment moment;
	const cJSON *bucket;
	double sum = 0, edge = -1;
	char *printed;
	cJSON *data;

	(void)state;
	memset(&moment, 0, sizeof(moment));
	assert_int_equal(make_snapshot(&moment.aggregate, 10), 0);
	make_summary(&moment.summary);
	make_observer(&moment.observer);
	printed = metrics_json(&moment);
	assert_non_null(printed);
	data = cJSON_Parse(printed);
	cJSON_ArrayForEach(bucket, cJSON_GetObjectItemCaseSensitive(data, "latency"))
	{
		double from = cJSON_GetArrayItem(bucket, 0)->valuedouble;

		assert_true(from >= edge);
		edge = cJSON_GetArrayItem(bucket, 1)->valuedouble;
		assert_true(edge > from);
		sum += cJSON_GetArrayItem(bucket, 2)->valuedouble;
	}
	/* All but those of slow.example, which never answered. */
	assert_int_equal(sum, 10 * (40 + 12 + 2 + 9 + 1 + 5));
	assert_int_equal(number(data, "failures"), 10 * (2 + 1));
	cJSON_Delete(data);
	free(printed);
	metrics_moment_free(&moment);
}

static void test_health(void **state)
{
	struct made *made = *state;

	assert_int_equal(get(made, "/healthz", "localhost"), 200);
	assert_string_equal(body(made), "ok\n");
	made->made.degraded = "worker 1 hangs";
	assert_int_equal(get(made, "/healthz", "localhost"), 200);
	assert_string_equal(body(made), "degraded: worker 1 hangs\n");
	made->made.draining = true;
	assert_int_equal(get(made, "/healthz", "localhost"), 503);
	assert_string_equal(body(made), "draining\n");
}

static void test_nothing_else(void **state)
{
	static const char *const paths[] = {
		"/metrics/",          "/x",         "//", "/api/v1/snapshot/..",
		"/%2e%2e/etc/passwd", "/page.html", "*"};
	struct made *made = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(get(made, paths[i], "localhost"), 404);
	assert_has(made, "Content-Security-Policy: default-src 'none'");
}

static void test_read_only(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
	struct made *made = *state;
	char request[256];

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(request, sizeof(request),
			 "%s /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			 "Content-Length: 2\r\n\r\nhi",
			 methods[i]);
		assert_int_equal(ask(made, request), 405);
		assert_has(made, "Allow: GET, HEAD\r\n");
		assert_null(strcasestr(made->answer, "access-control-allow"));
	}
}

static void test_head_has_no_body(void **state)
{
	struct made *made = *state;

	assert_int_equal(ask(made, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n"
				   "Connection: close\r\n\r\n"),
			 200);
	assert_string_equal(body(made), "");
	assert_has(made, "Content-Length: ");
}

static void test_only_local_names_are_answered(void **state)
{
	static const char *const good[] = {"localhost",   "LocalHost:9464", "127.0.0.1",
					   "127.8.9.1:1", "[::1]",          "[::1]:9464"};
	static const char *const wrong[] = {"evil.example",
					    "localhost.evil.example",
					    "127.0.0.1.evil.example",
					    "128.0.0.1",
					    "localhost:1x",
					    "[::2]",
					    "[::1",
					    "[::1]evil",
					    "",
					    "0x7f.1",
					    "::1",
					    "localhost@evil.example"};
	static const char *const paths[] = {"/", "/metrics", "/api/v1/snapshot", "/healthz", "/x"};
	struct made *made = *state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(get(made, "/healthz", good[i]), 200);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (get(made, "/healthz", wrong[i]) != 403)
			fail_msg("Host \"%s\" was answered", wrong[i]);
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(get(made, paths[i], "evil.example"), 403);
		assert_ptr_equal(strchr(body(made), '\n') + 1, strchr(body(made), '\0'));
	}
	assert_int_equal(ask(made, "GET /healthz HTTP/1.0\r\n\r\n"), 200);
}

static void test_any_name_elsewhere(void **state)
{
	struct made *made = *state;
	char error[200];

	metrics_http_close(made->http);
	made->http = NULL;
	assert_int_equal(made_open(made, "0.0.0.0:0", error, sizeof(error)), 0);
	made->port = metrics_http_port(made->http);
	assert_int_equal(get(made, "/healthz", "metrics.example:9464"), 200);
}

static void test_out_of_memory_is_told(void **state)
{
	struct made *made = *state;

	made->made.no_memory = true;
	assert_int_equal(get(made, "/metrics", "localhost"), 503);
	assert_int_equal(get(made, "/api/v1/snapshot", "localhost"), 503);
	made->made.no_memory = false;
	assert_int_equal(get(made, "/metrics", "localhost"), 200);
}

static void test_long_heads_are_refused(void **state)
{
	struct made *made = *state;
	char *request = malloc(70000);

	assert_non_null(request);
	strcpy(request, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ");
	memset(request + strlen(request), 'x', 60000);
	strcpy(request + 60040, "\r\n\r\n");
	assert_true(ask(made, request) >= 400);
	assert_int_equal(get(made, "/healthz", "localhost"), 200);
	free(request);
}

/* More connections than are served: the others wait until one is closed, none is lost. */
static void test_connections_are_limited(void **state)
{
	struct made *made = *state;
	int idle[24];

	for (int i = 0; i < 24; i++)
		idle[i] = dial(made->port);
	for (int i = 0; i < 24; i++)
		close(idle[i]);
	assert_int_equal(get(made, "/healthz", "localhost"), 200);
}

static void test_addresses(void **state)
{
	static const char *const wrong[] = {"",
					    "9464",
					    "localhost:9464",
					    "127.0.0.1",
					    "127.0.0.1:",
					    "127.0.0.1:65536",
					    "127.0.0.1:x",
					    "::1:9464",
					    "[::1]9464",
					    "[127.0.0.1]:1",
					    "[]:1",
					    "1.2.3.4:-1"};
	struct made *made = *state;
	struct metrics_http *http = NULL;
	char error[200], listen[64];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
			metrics_http_open(wrong[i], -1, &made->source, &http, error, sizeof(error)),
			-EINVAL);
		assert_non_null(strstr(error, "expected ADDR:PORT"));
	}
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", made->port);
	assert_int_equal(metrics_http_open(listen, -1, &made->source, &http, error, sizeof(error)),
			 -EADDRINUSE);
	assert_string_equal(error, "cannot listen: Address already in use");
	assert_null(http);
}

/* The port goes to another one, which answers from then on. */
static void test_socket_is_handed_over(void **state)
{
	struct made *made = *state;
	struct metrics_http *next = NULL, *other = NULL;
	int fd = dup(metrics_http_fd(made->http)), wrong = dup(fd);
	char error[200], listen[64];

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", made->port);
	assert_int_equal(metrics_http_open(listen, fd, &made->source, &next, error, sizeof(error)),
			 0);
	assert_int_equal(metrics_http_fd(next), fd);
	assert_int_equal(metrics_http_port(next), made->port);
	metrics_http_leave(made->http);
	assert_int_equal(metrics_http_fd(made->http), -1);
	metrics_http_leave(made->http);
	metrics_http_close(made->http);
	made->http = next;
	assert_int_equal(get(made, "/healthz", "localhost"), 200);
	/* one of another address is closed */
	assert_int_equal(metrics_http_open(":0", wrong, &made->source, &other, error,
					   sizeof(error)),
			 0);
	assert_int_not_equal(metrics_http_port(other), made->port);
	metrics_http_close(other);
	assert_int_equal(get(made, "/healthz", "localhost"), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
		cmocka_unit_test(test_latency_buckets_are_of_all_series),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_has_no_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_local_names_are_answered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_any_name_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_heads_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connections_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_is_handed_over, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
