// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sys/utsname.h>

#include "control_rig.h"
#include "observe/sock_diag.h"

static cJSON *answer_to(const struct fixture *f, const char *request)
{
	/* exactly as long as the request: a byte read behind it is seen by the sanitizer */
	size_t len = strlen(request);
	char *line = malloc(len ? len : 1), *text;
	cJSON *json;

	memcpy(line, request, len);
	text = control_answer(&f->source, line, len);
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	json = parse_answer(text);
	free(text);
	free(line);
	return json;
}

static cJSON *command(const struct fixture *f, const char *name)
{
	char request[100];
	cJSON *json;

	snprintf(request, sizeof(request), "{\"version\":1,\"command\":\"%s\"}", name);
	json = answer_to(f, request);
	check_bool(json, "ok", true);
	return json;
}

static void summary_says_what_the_daemon_is(void **state)
{
	struct fixture *f = *state;
	cJSON *json;

	f->daemon.summary.open_by_state[CONN_PEEK] = 2;
	f->daemon.summary.open_by_state[CONN_RELAY] = 40;
	f->daemon.summary.open_passed = 5;
	f->daemon.summary.leaf_cache.hits = 11;
	f->daemon.summary.leaf_cache.misses = 12;
	f->daemon.summary.leaf_cache.forged = 13;
	f->daemon.summary.leaf_cache.failed = 14;
	f->daemon.summary.leaf_cache.waited = 15;
	f->daemon.summary.leaf_cache.evicted = 16;
	f->daemon.summary.leaf_cache.entries = 17;
	f->daemon.summary.session_cache.entries = 25;
	f->daemon.summary.session_cache.evicted = 26;
	f->daemon.summary.has_signer = true;
	f->daemon.summary.signer.pid = 4712;
	f->daemon.summary.signer.issued = 18;
	f->daemon.summary.signer.busy = 19;
	f->daemon.summary.signer.refused = 20;
	f->daemon.summary.signer.failed = 21;
	f->daemon.summary.identities = 22;
	f->daemon.summary.identity_reloads = 23;
	f->daemon.summary.identity_reloads_failed = 24;
	f->daemon.summary.hook.state = CAPTURE_WITHDRAWN;
	json = command(f, "summary");
	check_text(json, "data.capture.rules", "not_configured");
	check_text(json, "data.capture.hook", "withdrawn");
	check_text(json, "data.version", "1.2.3");
	check_number(json, "data.pid", 4711);
	assert_in_range((int)json_at(json, "data.uptime_s")->valuedouble, 99, 105);
	assert_int_equal(strlen(json_at(json, "data.start_time")->valuestring), 24);
	check_number(json, "data.workers", 3);
	check_bool(json, "data.draining", false);
	check_null(json, "data.degraded");
	check_text(json, "data.openssl", "OpenSSL 3");
	check_text(json, "data.config.relay", "auto");
	check_text(json, "data.config.ktls", "require");
	check_text(json, "data.config.verify", "off");
	check_number(json, "data.config.max_connections", 5000);
	check_number(json, "data.connections.open", 42);
	check_number(json, "data.connections.passed_open", 5);
	check_number(json, "data.connections.by_state.peek", 2);
	check_number(json, "data.connections.by_state.relay", 40);
	check_number(json, "data.connections.by_state.closing", 0);
	check_number(json, "data.leaf_cache.hits", 11);
	check_number(json, "data.leaf_cache.misses", 12);
	check_number(json, "data.leaf_cache.forged", 13);
	check_number(json, "data.leaf_cache.failed", 14);
	check_number(json, "data.leaf_cache.waited", 15);
	check_number(json, "data.leaf_cache.evicted", 16);
	check_number(json, "data.leaf_cache.entries", 17);
	check_number(json, "data.session_cache.entries", 25);
	check_number(json, "data.session_cache.evicted", 26);
	check_bool(json, "data.signer.alive", true);
	check_number(json, "data.signer.pid", 4712);
	check_number(json, "data.signer.signed", 18);
	check_number(json, "data.signer.busy", 19);
	check_number(json, "data.signer.refused", 20);
	check_number(json, "data.signer.failed", 21);
	check_number(json, "data.identities.count", 22);
	check_number(json, "data.identities.reloads", 23);
	check_number(json, "data.identities.failed", 24);
	cJSON_Delete(json);

	f->daemon.summary.signer.pid = 0;
	f->daemon.summary.identities = 0;
	json = command(f, "summary");
	check_bool(json, "data.signer.alive", false);
	check_number(json, "data.signer.pid", 0);
	check_null(json, "data.identities");
	cJSON_Delete(json);

	f->daemon.summary.has_signer = false;
	f->daemon.summary.draining = true;
	f->daemon.summary.degraded = "no kernel TLS";
	json = command(f, "summary");
	check_bool(json, "data.draining", true);
	check_text(json, "data.degraded", "no kernel TLS");
	check_null(json, "data.signer");
	cJSON_Delete(json);
}

static void summary_has_every_counter(void **state)
{
	struct fixture *f = *state;
	char path[100];
	cJSON *json;

	for (int i = 0; i < STAT_COUNT; i++)
		f->daemon.stats.counters[i] = (uint64_t)i + 1000;
	json = command(f, "summary");
	for (int i = 0; i < STAT_COUNT; i++) {
		enum stats_counter counter = (enum stats_counter)i;

		snprintf(path, sizeof(path), "data.%s.%s", stats_group(counter),
			 stats_name(counter));
		check_number(json, path, i + 1000);
	}
	cJSON_Delete(json);
}

static void summary_names_the_reasons_that_happened(void **state)
{
	struct fixture *f = *state;
	cJSON *json = command(f, "summary");

	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.reasons")), 3);
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.reasons.end")), 0);
	cJSON_Delete(json);
	f->daemon.stats.reasons[KSPLIT_NONE] = 1;
	f->daemon.stats.reasons[KSPLIT_CLOSED] = 2;
	f->daemon.stats.reasons[KSPLIT_LEAF_REJECTED] = 3;
	f->daemon.stats.reasons[KSPLIT_PASS_NOT_TLS] = 4;
	f->daemon.stats.reasons[KSPLIT_KTLS_RELAY_USER] = 5;
	json = command(f, "summary");
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.reasons.end")), 2);
	check_number(json, "data.reasons.end.closed", 2);
	check_number(json, "data.reasons.end.leaf_rejected", 3);
	check_number(json, "data.reasons.pass.not_tls", 4);
	check_number(json, "data.reasons.fallback.relay_user", 5);
	cJSON_Delete(json);
}

static void summary_says_what_became_of_otlp(void **state)
{
	struct fixture *f = *state;
	struct otlp_stats *otlp = &f->daemon.otlp;
	cJSON *json = command(f, "summary");

	check_null(json, "data.otlp");
	cJSON_Delete(json);

	*otlp = (struct otlp_stats){.exported = 1,
				    .failed = 2,
				    .retried = 3,
				    .dropped = 4,
				    .unmade = 5,
				    .rejected_points = 1ull << 60,
				    .queued = 7,
				    .endpoint = "https://collector.example/v1/metrics"};
	f->daemon.has_otlp = true;
	json = command(f, "summary");
	check_text(json, "data.otlp.endpoint", "https://collector.example/v1/metrics");
	check_number(json, "data.otlp.exported", 1);
	check_number(json, "data.otlp.refused", 2);
	check_number(json, "data.otlp.requests_retried", 3);
	check_number(json, "data.otlp.dropped", 4);
	check_number(json, "data.otlp.unmade", 5);
	check_number(json, "data.otlp.points_rejected", 1ll << 60);
	check_number(json, "data.otlp.queued", 7);
	check_null(json, "data.otlp.last_error");
	check_null(json, "data.otlp.last_error_time");
	cJSON_Delete(json);

	strcpy(otlp->last_error, "the collector answers with status 400: \"no\"");
	otlp->last_error_ms = 1769860800000;
	json = command(f, "summary");
	check_text(json, "data.otlp.last_error", "the collector answers with status 400: \"no\"");
	check_text(json, "data.otlp.last_error_time", "2026-01-31T12:00:00.000Z");
	cJSON_Delete(json);
}

static void no_otlp_reader_is_no_otlp(void **state)
{
	struct fixture *f = *state;
	cJSON *json;

	f->daemon.has_otlp = true;
	f->source.read_otlp = NULL;
	json = command(f, "summary");
	check_null(json, "data.otlp");
	cJSON_Delete(json);
}

static void kernel_says_what_was_probed(void **state)
{
	struct fixture *f = *state;
	struct control_summary *summary = &f->daemon.summary;
	struct utsname name;
	cJSON *json;

	summary->ktls_ulp_errno = ENOENT;
	json = command(f, "kernel");
	check_bool(json, "data.ktls.ulp", false);
	check_text(json, "data.ktls.error", "No such file or directory");
	check_bool(json, "data.ktls.rekey", false);
	assert_int_equal(
		cJSON_GetArraySize(cJSON_GetObjectItem(json_at(json, "data.ktls.tx"), "TLSv1.3")),
		0);
	uname(&name);
	check_text(json, "data.release", name.release);
	if (access("/proc/net/tls_stat", R_OK))
		check_null(json, "data.tls_stat");
	else
		assert_true(cJSON_IsObject(json_at(json, "data.tls_stat")));
	cJSON_Delete(json);

	summary->ktls_ulp = summary->ktls_rekey = true;
	summary->ktls_ulp_errno = 0;
	for (int i = 0; i < 4; i++)
		summary->ktls_tx[1][i] = true;
	summary->ktls_rx[0][3] = true;
	json = command(f, "kernel");
	check_bool(json, "data.ktls.ulp", true);
	check_null(json, "data.ktls.error");
	check_bool(json, "data.ktls.rekey", true);
	{
		const cJSON *tx = cJSON_GetObjectItem(json_at(json, "data.ktls.tx"), "TLSv1.3");
		const cJSON *rx = cJSON_GetObjectItem(json_at(json, "data.ktls.rx"), "TLSv1.2");

		assert_int_equal(cJSON_GetArraySize(tx), 3);
		assert_string_equal(cJSON_GetArrayItem(tx, 0)->valuestring, "AES-128-GCM");
		assert_string_equal(cJSON_GetArrayItem(tx, 1)->valuestring, "AES-256-GCM");
		assert_string_equal(cJSON_GetArrayItem(tx, 2)->valuestring, "CHACHA20-POLY1305");
		assert_int_equal(cJSON_GetArraySize(rx), 1);
		assert_string_equal(cJSON_GetArrayItem(rx, 0)->valuestring, "CHACHA20-POLY1305");
	}
	cJSON_Delete(json);
}

static bool hook_is_on(void *ctx, struct control_hook *out)
{
	(void)ctx;
	*out = (struct control_hook){.on = true,
				     .wanted = 3,
				     .attached = 2,
				     .counts_len = 2,
				     .counts = {{"steered", 7}, {"exempt", 1}}};
	return true;
}

static bool hook_is_off(void *ctx, struct control_hook *out)
{
	(void)ctx;
	*out = (struct control_hook){.why = "no BPF", .wanted = 1};
	return true;
}

static void kernel_tells_of_the_capture_hook(void **state)
{
	struct fixture *f = *state;
	cJSON *json = command(f, "kernel");

	check_null(json, "data.capture_hook");
	cJSON_Delete(json);
	f->source.read_hook = hook_is_on;
	json = command(f, "kernel");
	check_bool(json, "data.capture_hook.on", true);
	check_null(json, "data.capture_hook.why");
	check_number(json, "data.capture_hook.wanted", 3);
	check_number(json, "data.capture_hook.attached", 2);
	check_number(json, "data.capture_hook.calls.steered", 7);
	check_number(json, "data.capture_hook.calls.exempt", 1);
	cJSON_Delete(json);
	f->source.read_hook = hook_is_off;
	json = command(f, "kernel");
	check_bool(json, "data.capture_hook.on", false);
	check_text(json, "data.capture_hook.why", "no BPF");
	cJSON_Delete(json);
	f->source.read_hook = NULL;
}

/* A real connection over loopback, so that the kernel has something to say. */
struct tcp_pair {
	int listener, client, server;
	union conn_address client_address, server_address;
};

static struct tcp_pair open_tcp_pair(void)
{
	struct tcp_pair pair = {.server_address = make_address("127.0.0.1", 0)};
	socklen_t len = sizeof(pair.server_address);

	pair.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(pair.listener, &pair.server_address.sa, sizeof(struct sockaddr_in)),
			 0);
	assert_int_equal(listen(pair.listener, 1), 0);
	getsockname(pair.listener, &pair.server_address.sa, &len);
	pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair.client, &pair.server_address.sa, sizeof(struct sockaddr_in)),
			 0);
	pair.server = accept(pair.listener, NULL, NULL);
	len = sizeof(pair.client_address);
	getsockname(pair.client, &pair.client_address.sa, &len);
	return pair;
}

static void close_tcp_pair(struct tcp_pair *pair)
{
	close(pair->listener);
	close(pair->client);
	close(pair->server);
}

static bool kernel_tells(const struct tcp_pair *pair)
{
	struct sock_diag_info info = {0};
	struct sock_diag *diag;

	if (sock_diag_open(&diag))
		return false;
	if (sock_diag_query(diag, &pair->server_address, &pair->client_address, &info))
		info.found = false;
	sock_diag_close(diag);
	return info.found;
}

static void connections_are_told_with_the_kernels_word(void **state)
{
	struct fixture *f = *state;
	struct tcp_pair pair = open_tcp_pair();
	struct conn_info info = make_conn();
	const cJSON *first;
	cJSON *json;

	info.client = pair.client_address;
	info.local = pair.server_address;
	set_connections(f, 2, &info);
	/* the second one's client side is not known, its upstream does not exist */
	memset(&f->daemon.connections[1].client, 0, sizeof(info.client));
	json = command(f, "connections");
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.connections")), 2);
	first = cJSON_GetArrayItem(json_at(json, "data.connections"), 0);
	check_text(first, "state", "relay");
	check_text(first, "sni", "www.origin.test");
	check_null(first, "kernel.upstream");
	if (kernel_tells(&pair)) {
		check_null(json, "data.socket_diagnostics_error");
		check_null(first, "kernel.client.ulp");
		check_text(first, "kernel.client.rxconf", "none");
		assert_true(json_at(first, "kernel.client.tcp.cwnd")->valuedouble > 0);
		assert_true(json_at(first, "kernel.client.tcp.mss")->valuedouble > 0);
		check_number(first, "kernel.client.tcp.retransmits", 0);
	} else {
		check_null(first, "kernel.client");
	}
	check_null(cJSON_GetArrayItem(json_at(json, "data.connections"), 1), "kernel.client");
	cJSON_Delete(json);
	close_tcp_pair(&pair);

	f->daemon.count = 0;
	json = command(f, "connections");
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.connections")), 0);
	cJSON_Delete(json);
}

static void check_error(const struct fixture *f, const char *request, const char *expected)
{
	cJSON *json = answer_to(f, request);

	check_bool(json, "ok", false);
	assert_null(cJSON_GetObjectItem(json, "data"));
	if (!strstr(json_at(json, "error")->valuestring, expected))
		fail_msg("%s: \"%s\"", request, json_at(json, "error")->valuestring);
	cJSON_Delete(json);
}

static void a_hanging_worker_is_said(void **state)
{
	struct fixture *f = *state;

	f->daemon.connections_err = -ETIMEDOUT;
	check_error(f, "{\"version\":1,\"command\":\"connections\"}", "a worker does not answer");
	f->daemon.connections_err = -ENOMEM;
	check_error(f, "{\"version\":1,\"command\":\"connections\"}", "Cannot allocate memory");
}

static void a_bad_request_is_answered_with_what_is_wrong(void **state)
{
	static const struct {
		const char *request, *expected;
	} rows[] = {
		{"", "one JSON object"},
		{"summary", "one JSON object"},
		{"[1]", "one JSON object"},
		{"null", "one JSON object"},
		{"{\"version\":1,\"command\":\"summary\"", "one JSON object"},
		{"{\"version\":1,\"command\":\"summary\"}}", "one JSON object"},
		{"{\"version\":1,\"command\":\"summary\"} {}", "one JSON object"},
		{"{}", "`version` is missing"},
		{"{\"version\":\"1\",\"command\":\"summary\"}",
		 "`version` is missing or not a number"},
		{"{\"version\":2,\"command\":\"summary\"}",
		 "version 2 is not spoken here; this daemon speaks 1"},
		{"{\"version\":1.5,\"command\":\"summary\"}", "version 1.5 is not spoken"},
		{"{\"version\":1e999,\"command\":\"summary\"}", "is not spoken"},
		{"{\"version\":1}", "`command` is missing"},
		{"{\"version\":1,\"command\":7}", "`command` is missing or not a string"},
		{"{\"version\":1,\"command\":\"reboot\"}",
		 "unknown command `reboot`; known: summary, connections, kernel, endpoints, "
		 "requests, passes, certs, capture, upgrade, reload"},
		{"{\"version\":1,\"command\":\"Summary\"}", "unknown command `Summary`"},
		{"{\"version\":1,\"command\":\"\\u001b[2J\\n\"}",
		 "unknown command `\\x1b[2J\\x0a`"},
		{"{\"version\":1,\"command\":\"\xff\"}", "unknown command `\\xff`"},
	};
	struct fixture *f = *state;
	char deep[3000];

	for (size_t i = 0; i < LEN(rows); i++)
		check_error(f, rows[i].request, rows[i].expected);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	check_error(f, deep, "one JSON object");
	memset(deep, 'x', sizeof(deep) - 1);
	memcpy(deep, "{\"version\":1,\"command\":\"", 24);
	memcpy(deep + sizeof(deep) - 3, "\"}", 2);
	check_error(f, deep, "unknown command `xxx");
}

static void blanks_and_unknown_members_are_let_pass(void **state)
{
	struct fixture *f = *state;
	cJSON *json =
		answer_to(f, " {\"later\":[1,{}], \"command\" : \"summary\",\t\"version\":1.0} \r");

	check_bool(json, "ok", true);
	cJSON_Delete(json);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(summary_says_what_the_daemon_is),
		T(summary_has_every_counter),
		T(summary_names_the_reasons_that_happened),
		T(summary_says_what_became_of_otlp),
		T(no_otlp_reader_is_no_otlp),
		T(kernel_says_what_was_probed),
		T(kernel_tells_of_the_capture_hook),
		T(connections_are_told_with_the_kernels_word),
		T(a_hanging_worker_is_said),
		T(a_bad_request_is_answered_with_what_is_wrong),
		T(blanks_and_unknown_members_are_let_pass),
	};
#undef T

	return cmocka_run_group_tests_name("control_answer", tests, NULL, NULL);
}
