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

#include <ksplit/control.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>

#include "conn_maker.h"
#include "export/control.h"
#include "observe/sock_diag.h"
#include "process_count.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The daemon behind the socket. */
struct daemon {
	struct stats_sum stats;
	struct control_summary summary;
	struct conn_info *connections;
	size_t count;
	int connections_err;
};

static void read_stats(void *ctx, struct stats_sum *out)
{
	*out = ((struct daemon *)ctx)->stats;
}

static void read_summary(void *ctx, struct control_summary *out)
{
	*out = ((struct daemon *)ctx)->summary;
}

static int read_connections(void *ctx, struct conn_info **out, size_t *count)
{
	const struct daemon *daemon = ctx;
	size_t size = daemon->count * sizeof(**out);

	if (daemon->connections_err)
		return daemon->connections_err;
	*out = malloc(size + 1);
	if (daemon->count)
		memcpy(*out, daemon->connections, size);
	*count = daemon->count;
	return 0;
}

struct fixture {
	struct daemon daemon;
	struct control_source source;
	struct control *control;
	char folder[64], path[96];
	int fds, threads;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct timespec now;

	assert_non_null(f);
	clock_gettime(CLOCK_REALTIME, &now);
	f->daemon.summary = (struct control_summary){
		.version = "1.2.3",
		.pid = 4711,
		.start_ms = (now.tv_sec - 100) * 1000,
		.workers = 3,
		.max_connections = 5000,
		.relay = "auto",
		.ktls = "require",
		.verify = "off",
		.openssl = "OpenSSL 3",
	};
	f->source = (struct control_source){.ctx = &f->daemon,
					    .read_stats = read_stats,
					    .read_summary = read_summary,
					    .read_connections = read_connections};
	strcpy(f->folder, "/tmp/ksplit-test-control.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->folder);
	f->fds = count_fds();
	f->threads = count_threads();
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	control_close(f->control);
	assert_int_equal(count_fds(), f->fds);
	assert_threads(f->threads);
	assert_int_equal(rmdir(f->folder), 0); /* the socket is gone */
	free(f->daemon.connections);
	free(f);
	return 0;
}

/* Answers */

static cJSON *parse_answer(const char *text)
{
	cJSON *json;

	assert_non_null(text);
	json = cJSON_Parse(text);
	assert_non_null(json);
	check_number(json, "version", KSPLIT_CONTROL_VERSION);
	return json;
}

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
	json = command(f, "summary");
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
	cJSON_Delete(json);

	f->daemon.summary.draining = true;
	f->daemon.summary.degraded = "no kernel TLS";
	json = command(f, "summary");
	check_bool(json, "data.draining", true);
	check_text(json, "data.degraded", "no kernel TLS");
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

static void set_connections(struct fixture *f, size_t count, const struct conn_info *all)
{
	free(f->daemon.connections);
	f->daemon.connections = calloc(count, sizeof(*all));
	assert_non_null(f->daemon.connections);
	f->daemon.count = count;
	for (size_t i = 0; i < count; i++)
		f->daemon.connections[i] = *all;
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
		 "requests"},
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

/* The socket */

static void open_control(struct fixture *f)
{
	assert_int_equal(control_open(f->path, &f->source, &f->control), 0);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 20};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One line, byte by byte, so that nothing of the next is taken; NULL at the end of the stream. */
static char *read_line(int fd)
{
	size_t len = 0, size = 1024 * 1024;
	char *line = malloc(size);

	for (;;) {
		ssize_t n = recv(fd, line + len, 1, 0);

		if (n <= 0 || len == size - 1) {
			free(line);
			return NULL;
		}
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return line;
}

static void expect_ok(int fd, bool ok)
{
	char *line = read_line(fd);
	cJSON *json = parse_answer(line);

	check_bool(json, "ok", ok);
	cJSON_Delete(json);
	free(line);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#define SUMMARY "{\"version\":1,\"command\":\"summary\"}"

static void requests_follow_each_other(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	open_control(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	fd = connect_to(f->path);
	for (int i = 0; i < 3; i++) {
		send_text(fd, SUMMARY "\n");
		expect_ok(fd, true);
	}
	send_text(fd, "nonsense\n");
	expect_ok(fd, false);
	send_text(fd, SUMMARY "\r\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_request_may_come_in_pieces_or_with_others(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	for (const char *at = SUMMARY "\n"; *at; at++) {
		char byte[2] = {*at, '\0'};

		send_text(fd, byte);
		poll(NULL, 0, 1);
	}
	expect_ok(fd, true);
	send_text(fd, SUMMARY "\nbad\n" SUMMARY "\n" SUMMARY);
	expect_ok(fd, true);
	expect_ok(fd, false);
	expect_ok(fd, true);
	/* the last one without its newline: the end of the stream ends it */
	shutdown(fd, SHUT_WR);
	expect_ok(fd, true);
	expect_end(fd);
	close(fd);
}

static void a_request_has_a_longest_length(void **state)
{
	struct fixture *f = *state;
	char line[KSPLIT_CONTROL_LINE + 2];
	char *large = malloc(200000);
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	/* as long as allowed, and its newline */
	memset(line, ' ', sizeof(line));
	memcpy(line, SUMMARY, strlen(SUMMARY));
	line[KSPLIT_CONTROL_LINE] = '\n';
	line[KSPLIT_CONTROL_LINE + 1] = '\0';
	send_text(fd, line);
	expect_ok(fd, true);
	/* one more */
	line[KSPLIT_CONTROL_LINE] = ' ';
	line[KSPLIT_CONTROL_LINE + 1] = '\0';
	send_text(fd, line);
	expect_ok(fd, false);
	expect_end(fd);
	close(fd);
	/* much more, with a request behind it that nobody answers */
	fd = connect_to(f->path);
	memset(large, 'x', 199999);
	strcpy(large + 150000, "\n" SUMMARY "\n");
	send_text(fd, large);
	expect_ok(fd, false);
	expect_end(fd);
	close(fd);
	free(large);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void clients_that_leave_harm_nobody(void **state)
{
	struct fixture *f = *state;
	int fd;

	open_control(f);
	for (int i = 0; i < 50; i++) {
		fd = connect_to(f->path);
		if (i % 3 == 1)
			send_text(fd, "{\"version\"");
		else if (i % 3 == 2)
			send_text(fd, SUMMARY "\n" SUMMARY "\n");
		close(fd);
	}
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_ninth_client_waits_for_a_place(void **state)
{
	struct fixture *f = *state;
	struct pollfd ninth = {.events = POLLIN};
	int fds[8];

	open_control(f);
	for (int i = 0; i < 8; i++) {
		fds[i] = connect_to(f->path);
		send_text(fds[i], SUMMARY "\n");
		expect_ok(fds[i], true);
	}
	ninth.fd = connect_to(f->path);
	send_text(ninth.fd, SUMMARY "\n");
	assert_int_equal(poll(&ninth, 1, 200), 0);
	close(fds[3]);
	expect_ok(ninth.fd, true);
	close(ninth.fd);
	for (int i = 0; i < 8; i++) {
		if (i != 3)
			close(fds[i]);
	}
}

/* Silent, half a request, and not taking an answer: all end after 5 s, and hold up nobody
 * meanwhile. */
static void slow_clients_are_closed_and_hold_up_nobody(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	double start;
	int silent, half, lazy, quick;
	char *rest;

	set_connections(f, 600, &info); /* more than a socket's buffer takes */
	open_control(f);
	start = seconds_now();
	silent = connect_to(f->path);
	half = connect_to(f->path);
	lazy = connect_to(f->path);
	send_text(half, "{\"version\":1,");
	send_text(lazy, "{\"version\":1,\"command\":\"connections\"}\n");
	quick = connect_to(f->path);
	for (int i = 0; i < 20; i++) {
		send_text(quick, SUMMARY "\n");
		expect_ok(quick, true);
	}
	assert_true(seconds_now() - start < 4);
	expect_end(silent);
	assert_true(seconds_now() - start > 4.9);
	expect_end(half);
	assert_true(seconds_now() - start < 9);
	poll(NULL, 0, 3000);
	rest = read_line(lazy); /* cut: no newline comes */
	assert_null(rest);
	close(silent);
	close(half);
	close(lazy);
	close(quick);
}

/* Who takes an answer slowly, but does take it, is waited for longer than who takes nothing. */
static void a_slow_reader_gets_its_answer(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	char chunk[65536];
	double start;
	bool whole = false;
	int fd;

	set_connections(f, 3000, &info);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{\"version\":1,\"command\":\"connections\"}\n");
	start = seconds_now();
	while (!whole) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		assert_true(n > 0);
		whole = chunk[n - 1] == '\n';
		if (seconds_now() - start < 6)
			poll(NULL, 0, 200);
	}
	assert_true(seconds_now() - start > 5.5);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_large_answer_arrives_whole(void **state)
{
	struct fixture *f = *state;
	struct conn_info info = make_conn();
	char *line;
	cJSON *json;
	int fd;

	set_connections(f, 300, &info);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{\"version\":1,\"command\":\"connections\"}\n" SUMMARY "\n");
	line = read_line(fd);
	assert_true(strlen(line) > 300 * 1000);
	json = parse_answer(line);
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.connections")), 300);
	cJSON_Delete(json);
	free(line);
	expect_ok(fd, true);
	close(fd);
}

static void leave_a_dead_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	int fd;

	leave_a_dead_socket(f->path);
	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void a_live_daemons_socket_is_not(void **state)
{
	struct fixture *f = *state;
	struct control *second = NULL;
	int fd;

	open_control(f);
	assert_int_equal(control_open(f->path, &f->source, &second), -EADDRINUSE);
	assert_null(second);
	fd = connect_to(f->path);
	send_text(fd, SUMMARY "\n");
	expect_ok(fd, true);
	close(fd);
}

static void only_a_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen(f->path, "w");
	struct stat st;

	fputs("precious", file);
	fclose(file);
	assert_int_equal(control_open(f->path, &f->source, &f->control), -EEXIST);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(f->path);
}

static void the_last_folder_is_made(void **state)
{
	struct fixture *f = *state;
	char folder[96], path[128];
	mode_t mask = umask(077);
	struct stat st;

	snprintf(folder, sizeof(folder), "%s/run", f->folder);
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	assert_int_equal(control_open(path, &f->source, &f->control), 0);
	umask(mask);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	control_close(f->control);
	f->control = NULL;
	assert_int_equal(rmdir(folder), 0);
	snprintf(path, sizeof(path), "%s/none/run/control.sock", f->folder);
	assert_int_equal(control_open(path, &f->source, &f->control), -ENOENT);
}

static void a_path_must_fit(void **state)
{
	struct fixture *f = *state;
	char path[200];

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_open(path, &f->source, &f->control), -ENAMETOOLONG);
	assert_int_equal(control_open("", &f->source, &f->control), -ENOENT);
}

static void close_removes_its_own_socket_only(void **state)
{
	struct fixture *f = *state;

	open_control(f);
	control_close(f->control);
	assert_int_equal(access(f->path, F_OK), -1);
	open_control(f);
	unlink(f->path);
	leave_a_dead_socket(f->path);
	control_close(f->control);
	f->control = NULL;
	assert_int_equal(access(f->path, F_OK), 0);
	unlink(f->path);
	control_close(NULL);
}

static void close_does_not_wait_for_clients(void **state)
{
	struct fixture *f = *state;
	double start = seconds_now();
	int fd;

	open_control(f);
	fd = connect_to(f->path);
	send_text(fd, "{");
	control_close(f->control);
	f->control = NULL;
	assert_true(seconds_now() - start < 2);
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(summary_says_what_the_daemon_is),
		T(summary_has_every_counter),
		T(summary_names_the_reasons_that_happened),
		T(kernel_says_what_was_probed),
		T(connections_are_told_with_the_kernels_word),
		T(a_hanging_worker_is_said),
		T(a_bad_request_is_answered_with_what_is_wrong),
		T(blanks_and_unknown_members_are_let_pass),
		T(requests_follow_each_other),
		T(a_request_may_come_in_pieces_or_with_others),
		T(a_request_has_a_longest_length),
		T(clients_that_leave_harm_nobody),
		T(a_ninth_client_waits_for_a_place),
		T(slow_clients_are_closed_and_hold_up_nobody),
		T(a_slow_reader_gets_its_answer),
		T(a_large_answer_arrives_whole),
		T(a_dead_daemons_socket_is_replaced),
		T(a_live_daemons_socket_is_not),
		T(only_a_socket_is_replaced),
		T(the_last_folder_is_made),
		T(a_path_must_fit),
		T(close_removes_its_own_socket_only),
		T(close_does_not_wait_for_clients),
	};
#undef T

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
