// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "export/prometheus_text.h"
#include "metrics_maker.h"

struct made {
	struct metrics_moment moment;
	char *text;
	size_t len;
};

static void render(struct made *made, uint32_t step)
{
	if (step)
		assert_int_equal(make_snapshot(&made->moment.aggregate, step), 0);
	if (step)
		assert_int_equal(make_certs(&made->moment.certs), 0);
	make_stats(&made->moment.stats);
	make_summary(&made->moment.summary);
	make_observer(&made->moment.observer);
	made->moment.has_otlp = step != 0;
	make_otlp(&made->moment.otlp);
	made->text = prometheus_text(&made->moment, &made->len);
	assert_non_null(made->text);
	assert_int_equal(strlen(made->text), made->len);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct made));
	render(*state, 3);
	return 0;
}

static int setup_empty(void **state)
{
	*state = calloc(1, sizeof(struct made));
	render(*state, 0);
	return 0;
}

static int teardown(void **state)
{
	struct made *made = *state;

	metrics_moment_free(&made->moment);
	free(made->text);
	free(made);
	return 0;
}

/* A whole line of the text. */
static bool has_line(const struct made *made, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = made->text; (p = strstr(p, line)); p++) {
		if ((p == made->text || p[-1] == '\n') && p[len] == '\n')
			return true;
	}
	return false;
}

#define SHOP                                                                                       \
	"server_address=\"shop.example\",server_port=\"443\","                                     \
	"network_peer_address=\"192.0.2.10\",http_request_method=\"GET\","                         \
	"url_scheme=\"https\",url_template=\"/items/{number}\","                                   \
	"http_response_status_code=\"200\","                                                       \
	"network_protocol_version=\"2\",tls_protocol_version=\"1.3\","                             \
	"tls_cipher=\"TLS_AES_128_GCM_SHA256\",process_command=\"curl\","                          \
	"process_unit=\"app.service\""
#define PAY                                                                                        \
	"server_address=\"pay.example\",server_port=\"8443\","                                     \
	"network_peer_address=\"2001:db8::7\",http_request_method=\"POST\","                         \
	"url_scheme=\"https\","

static void test_series(void **state)
{
	const struct made *made = *state;

	assert_true(has_line(made, "# TYPE http_client_request_duration_seconds histogram"));
	assert_true(has_line(made, "http_client_request_duration_seconds_bucket{" SHOP
				   ",le=\"10\"} 120"));
	assert_true(has_line(made, "http_client_request_duration_seconds_bucket{" SHOP
				   ",le=\"+Inf\"} 120"));
	assert_true(has_line(made, "http_client_request_duration_seconds_count{" SHOP "} 120"));
	assert_true(
		has_line(made, "ksplit_http_requests_total{direction=\"outgoing\"," SHOP "} 120"));
	assert_true(has_line(made, "ksplit_http_request_bytes_total{direction=\"outgoing\"," SHOP
				   "} 36000"));
	assert_true(has_line(made,
			     "ksplit_http_response_body_bytes_total{direction=\"outgoing\"," SHOP
			     "} 307200"));
}

static void test_incoming_has_the_servers_names(void **state)
{
	const struct made *made = *state;

	assert_non_null(strstr(made->text,
			       "\nhttp_server_request_duration_seconds_count{" PAY
			       "http_route=\"/bank.Pay/Charge\",http_response_status_code=\"200\","
			       "rpc_grpc_status_code=\"0\",network_protocol_version=\"2\""));
	assert_non_null(strstr(made->text,
			       "\nksplit_http_requests_total{direction=\"incoming\"," PAY
			       "url_template=\"/bank.Pay/Charge\""));
	assert_null(strstr(made->text, "\nhttp_client_request_duration_seconds_count{" PAY));
}

static void test_other_is_told(void **state)
{
	const struct made *made = *state;

	assert_true(has_line(made, "ksplit_http_requests_total{url_template=\"other\"} 15"));
	assert_true(has_line(made, "http_client_request_duration_seconds_count"
				   "{url_template=\"other\"} 15"));
	assert_true(has_line(made, "ksplit_connections_total{server_address=\"other\"} 3"));
	assert_true(has_line(made, "ksplit_series_evicted_total 3"));
	assert_true(has_line(made, "ksplit_series 7"));
	assert_true(has_line(made, "ksplit_series_limit 2000"));
}

static void test_hostile_names_stay_in_their_quotes(void **state)
{
	const struct made *made = *state;

	assert_non_null(strstr(made->text, "server_address=\"evil\\\"\\\\\\\\x0a<b>\\\\x01\\\\xff{}"
					   "\\\\xe2\\\\x80\\\\xae.example\","));
	assert_non_null(strstr(made->text, "process_command=\"a\\\"b\\\\c\\\\x0a\""));
	for (size_t i = 0; i < made->len; i++)
		assert_true(made->text[i] == '\n' || (unsigned char)made->text[i] >= 0x20);
}

static void test_no_response_has_no_status(void **state)
{
	const struct made *made = *state;

	assert_non_null(strstr(made->text,
			       "\nksplit_http_request_failures_total{direction="
			       "\"outgoing\",server_address=\"slow.example\","
			       "server_port=\"443\",network_peer_address=\"192.0.2.77\","
			       "http_request_method=\"GET\",url_scheme=\"https\",url_template=\"/\","
			       "network_protocol_version=\"1.1\""));
}

#define ENDPOINT                                                                                   \
	"direction=\"outgoing\",server_address=\"shop.example\",server_port=\"443\","              \
	"network_peer_address=\"192.0.2.10\""

static void test_endpoints(void **state)
{
	const struct made *made = *state;

	assert_true(has_line(made, "ksplit_connections_total{" ENDPOINT "} 9"));
	assert_true(has_line(made, "ksplit_connections_open{" ENDPOINT "} 2"));
	assert_true(has_line(made,
			     "ksplit_relayed_bytes_total{" ENDPOINT ",flow=\"to_origin\"} 45000"));
	assert_true(has_line(made, "ksplit_relayed_flows_total{" ENDPOINT ",relay=\"splice\"} 12"));
	assert_true(has_line(made, "ksplit_ktls_directions_total{" ENDPOINT "} 27"));
	assert_true(has_line(made, "ksplit_tls_directions_total{" ENDPOINT "} 36"));
	assert_true(has_line(made, "ksplit_tcp_retransmits_total{" ENDPOINT "} 1"));
	assert_true(has_line(made, "ksplit_tls_handshake_duration_seconds_count{" ENDPOINT
				   ",side=\"client\"} 9"));
	assert_true(has_line(made, "ksplit_tcp_rtt_seconds_bucket{" ENDPOINT ",le=\"+Inf\"} 9"));
	assert_true(has_line(made, "ksplit_connection_duration_seconds_bucket{" ENDPOINT
				   ",le=\"10\"} 9"));
}

static void test_daemon(void **state)
{
	const struct made *made = *state;
	const char *once;
	char line[200];

	assert_true(has_line(made, "ksplit_build_info{version=\"0.1.0\","
				   "openssl=\"OpenSSL 3.0.17 \\\"test\\\"\"} 1"));
	assert_true(has_line(made, "process_start_time_seconds 1700000000.123"));
	assert_true(has_line(made, "ksplit_sampler_info{kernel_tls=\"fentry\",plain=\"sk_msg\","
				   "user=\"user\",why=\"fentry on inet_sendmsg works on this "
				   "\\\"kernel\\\"\"} 1"));
	assert_true(has_line(made, "ksplit_sampler_events_total{sampler=\"fentry\"} 99"));
	assert_true(has_line(made, "ksplit_sampler_ring_dropped_total 3"));
	assert_true(has_line(made, "ksplit_sampler_troubles_total{trouble=\"gap\"} 6"));
	assert_true(has_line(made, "ksplit_reason_total{class=\"end\",reason=\"closed\"} 42"));
	assert_true(has_line(made, "ksplit_connections_by_state{state=\"relay\"} 6"));
	assert_true(has_line(made, "ksplit_leaf_cache_hits_total 11"));
	assert_true(has_line(made, "ksplit_session_cache_entries 13"));
	assert_true(has_line(made, "ksplit_session_cache_evicted_total 14"));
	assert_true(has_line(made, "ksplit_signer_up 1"));
	assert_true(has_line(made, "ksplit_signer_requests_total{result=\"signed\"} 41"));
	assert_true(has_line(made, "ksplit_signer_requests_total{result=\"busy\"} 42"));
	assert_true(has_line(made, "ksplit_signer_requests_total{result=\"refused\"} 43"));
	assert_true(has_line(made, "ksplit_signer_requests_total{result=\"failed\"} 44"));
	assert_true(has_line(made, "ksplit_certificate_not_after_timestamp_seconds{kind=\"ca\","
				   "name=\"made CA\",fingerprint=\"0101010101010101\"} "
				   "2000000000"));
	/* Once, though it is listed twice. */
	once = strstr(made->text, "abababababababab\"} 1900000000\n");
	assert_non_null(once);
	assert_null(strstr(once + 1, "abababababababab\"}"));
	assert_true(has_line(made, "ksplit_identities 45"));
	assert_true(has_line(made, "ksplit_identity_reloads_total{result=\"loaded\"} 46"));
	assert_true(has_line(made, "ksplit_identity_reloads_total{result=\"failed\"} 47"));
	assert_true(has_line(made, "ksplit_capture_state{state=\"off\"} 1"));
	assert_true(has_line(made, "ksplit_capture_state{state=\"withdrawn\"} 0"));
	assert_true(has_line(made, "ksplit_capture_withdrawals_total{reason=\"keeper\"} 21"));
	assert_true(has_line(made, "ksplit_capture_hook_state{state=\"withdrawn\"} 1"));
	assert_true(has_line(made, "ksplit_capture_hook_loads_total 31"));
	assert_true(has_line(made, "ksplit_capture_hook_self_tests_failed_total 32"));
	assert_true(
		has_line(made, "ksplit_capture_hook_withdrawals_total{reason=\"watchdog\"} 33"));
	assert_true(has_line(made, "ksplit_capture_hook_wanted 5"));
	assert_true(has_line(made, "ksplit_capture_hook_attached 4"));
	for (int i = 0; i < STAT_COUNT; i++) {
		snprintf(line, sizeof(line), "ksplit_%s_%s_total %d",
			 stats_group((enum stats_counter)i), stats_name((enum stats_counter)i),
			 1000 + i);
		assert_true(has_line(made, line));
	}
}

static void test_otlp(void **state)
{
	const struct made *made = *state;

	assert_true(has_line(made, "ksplit_otlp_exports_total{result=\"exported\"} 71"));
	assert_true(has_line(made, "ksplit_otlp_exports_total{result=\"refused\"} 72"));
	assert_true(has_line(made, "ksplit_otlp_requests_retried_total 73"));
	assert_true(has_line(made, "ksplit_otlp_exports_total{result=\"dropped\"} 74"));
	assert_true(has_line(made, "ksplit_otlp_exports_total{result=\"unmade\"} 75"));
	assert_true(has_line(made, "ksplit_otlp_points_rejected_total 76"));
	assert_true(has_line(made, "ksplit_otlp_exports_queued 77"));
	assert_null(strstr(made->text, "collector.example"));
	assert_null(strstr(made->text, "status 400"));
}

static void test_no_otlp(void **state)
{
	const struct made *made = *state;

	assert_null(strstr(made->text, "otlp"));
}

/* Every family once, its samples behind it; every sample once. */
static void test_families_are_whole(void **state)
{
	struct made *made = *state;
	size_t count = 0;
	char **lines, family[128] = "", type[128];

	for (size_t i = 0; i < made->len; i++)
		count += made->text[i] == '\n';
	lines = calloc(count, sizeof(*lines));
	assert_non_null(lines);
	count = 0;
	for (char *line = strtok(made->text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "# TYPE %127s", type) == 1)
			assert_string_equal(family, type);
		if (sscanf(line, "# HELP %127s", family) == 1 || line[0] == '#') {
			lines[count++] = line;
			continue;
		}
		assert_int_equal(strncmp(line, family, strlen(family)), 0);
		*strrchr(line, ' ') = '\0';
		lines[count++] = line;
	}
	for (size_t i = 0; i < count; i++) {
		size_t name = strncmp(lines[i], "# HELP ", 7) ? strlen(lines[i])
							      : strcspn(lines[i] + 7, " ") + 8;

		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(
				strncmp(lines[i], lines[j], name + 1 - (lines[i][0] == '#')), 0);
	}
	free(lines);
}

static double value_of(const char *line)
{
	return strtod(strrchr(line, ' '), NULL);
}

/* Cumulative buckets, and never less after more was added. */
static void test_buckets_are_cumulative_and_monotonic(void **state)
{
	struct made *before = *state, after = {0};
	char *line, *save = NULL, *next, *save_next = NULL, *previous = NULL;
	size_t compared = 0, same;

	render(&after, 5);
	line = strtok_r(before->text, "\n", &save);
	next = strtok_r(after.text, "\n", &save_next);
	for (; line && next;
	     line = strtok_r(NULL, "\n", &save), next = strtok_r(NULL, "\n", &save_next)) {
		if (line[0] == '#' || !strstr(line, "_bucket{"))
			continue;
		assert_true(value_of(next) >= value_of(line));
		same = (size_t)(strstr(line, "le=\"") - line);
		if (previous && !strncmp(line, previous, same)) {
			assert_true(value_of(line) >= value_of(previous));
			compared++;
		}
		previous = line;
	}
	assert_true(compared > 100);
	assert_null(line);
	assert_null(next);
	metrics_moment_free(&after.moment);
	free(after.text);
}

static void test_nothing_yet(void **state)
{
	const struct made *made = *state;

	assert_true(has_line(made, "# TYPE ksplit_http_requests_total counter"));
	assert_null(strstr(made->text, "\nksplit_http_requests_total"));
	assert_true(has_line(made, "ksplit_series 0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_series, setup, teardown),
		cmocka_unit_test_setup_teardown(test_incoming_has_the_servers_names, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_other_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_names_stay_in_their_quotes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_response_has_no_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endpoints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_otlp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_otlp, setup_empty, teardown),
		cmocka_unit_test_setup_teardown(test_families_are_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buckets_are_cumulative_and_monotonic, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nothing_yet, setup_empty, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
