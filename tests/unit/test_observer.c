// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf_rig.h"
#include "observe/event_queue.h"
#include "observe/observer.h"
#include "observe/stream_scanner.h"
#include "observe/stream_tap.h"
#include "tcp_pair.h"

#define PATIENCE_MS 20000

struct told {
	_Atomic unsigned int requests;
	struct observe_request last; /* read when the thread has ended */
	uint64_t conn;
};

static void on_request(void *ctx, const struct observe_conn *conn,
		       const struct observe_request *request)
{
	struct told *told = ctx;

	told->last = *request;
	told->conn = conn->id;
	told->requests++;
}

static struct observer *observer;
static struct stream_scanner *scanner;
static struct event_queue *queue;
static struct told told;

/* False where this kernel does not have the attach point that is asked for. */
static bool begin_at(enum sampler_mode mode, enum ksplit_sampler attach)
{
	const struct observer_options options = {
		.mode = mode,
		.attach = attach,
		.head_bytes = 512,
		.ring_bytes = 1 << 20,
		.queue_bytes = 1 << 20,
		.max_series = 100,
		.max_endpoints = 100,
		.workers = 2,
	};
	char error[512];
	int err;

	memset(&told, 0, sizeof(told));
	err = observer_new(&options, &observer, error, sizeof(error));
	if (err == -EOPNOTSUPP && attach != KSPLIT_SAMPLER_NONE) {
		print_message("nothing to try: %s\n", error);
		observer_free(observer);
		return false;
	}
	assert_int_equal(err, 0);
	queue = observer_queue(observer, 1);
	assert_int_equal(stream_scanner_new(queue, 512, &scanner), 0);
	return true;
}

static void begin(enum sampler_mode mode)
{
	assert_true(begin_at(mode, KSPLIT_SAMPLER_NONE));
}

static void start(void)
{
	const struct observer_sink sink = {.request = on_request, .ctx = &told};

	assert_int_equal(observer_start(observer, &sink), 0);
}

static void end(void)
{
	stream_scanner_free(scanner);
	observer_free(observer);
}

/* --- what a worker does --- */

static union conn_address address_of(uint16_t port)
{
	return (union conn_address){.in = {.sin_family = AF_INET,
					   .sin_port = htons(port),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void tell_open(uint64_t id, enum ksplit_sampler sampler)
{
	struct observer_open open = {.sampler = sampler};

	open.conn.id = id;
	open.conn.endpoint = address_of(443);
	open.conn.client = address_of(5000);
	strcpy(open.conn.server_name, "origin.test");
	assert_true(event_queue_put(queue, EVENT_QUEUE_OPEN, &open, sizeof(open)));
}

static void tell_close(uint64_t id, bool opened, uint64_t lost)
{
	struct observer_close close = {.opened = opened, .lost_bytes = lost};

	close.info.id = id;
	close.info.state = CONN_CLOSING;
	close.info.upstream = address_of(443);
	close.info.client = address_of(5000);
	close.info.flow[FLOW_TO_ORIGIN].bytes = 100;
	strcpy(close.info.sni, "origin.test");
	assert_true(event_queue_put(queue, EVENT_QUEUE_CLOSE, &close, sizeof(close)));
}

static void tap_begin(struct stream_tap *tap, uint64_t id, enum sampler_place place,
		      const int fd[KSPLIT_STREAMS])
{
	struct stream_tap_options options = {.sampler = observer_sampler(observer),
					     .scanner = scanner,
					     .place = place,
					     .conn = id};

	memcpy(options.fd, fd, sizeof(options.fd));
	stream_tap_begin(tap, &options);
}

static void tap_text(struct stream_tap *tap, enum ksplit_stream stream, const char *text)
{
	stream_tap_data(tap, stream, text, strlen(text));
}

static const int no_sockets[KSPLIT_STREAMS] = {-1, -1};

#define REQUEST  "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the close"

/* A whole connection, its samples by the daemon itself. */
static void tell_connection(uint64_t id, bool opened)
{
	struct stream_tap tap;

	if (opened)
		tell_open(id, KSPLIT_SAMPLER_USER);
	tap_begin(&tap, id, SAMPLER_USER_TLS, no_sockets);
	assert_int_equal(tap.kind, KSPLIT_SAMPLER_USER);
	tap_text(&tap, KSPLIT_REQUESTS, REQUEST);
	tap_text(&tap, KSPLIT_RESPONSES, RESPONSE);
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		stream_tap_end(&tap, i, 0, true);
	stream_tap_release(&tap);
	tell_close(id, opened, 3);
}

static void expect_request(uint64_t id)
{
	assert_int_equal(told.conn, id);
	assert_string_equal(told.last.path, "/a?b");
	assert_string_equal(told.last.host, "h");
	assert_int_equal(told.last.status, 200);
	assert_true(told.last.complete);
	assert_int_equal(told.last.request_bytes, strlen(REQUEST));
	assert_int_equal(told.last.response_bytes, strlen(RESPONSE));
	assert_int_equal(told.last.response_body, strlen("until the close"));
}

/* --- tests --- */

/* From the queue into the aggregate; all that is queued when the observer is stopped counts. */
static void test_stop_drains(void **state)
{
	struct aggregate_snapshot snapshot;
	struct observer_status status;

	(void)state;
	begin(SAMPLER_MODE_USER);
	for (uint64_t id = 1; id <= 20; id++)
		tell_connection(id, true);
	start();
	observer_stop(observer);
	assert_int_equal(told.requests, 20);
	expect_request(20);
	observer_read_status(observer, &status);
	assert_int_equal(status.requests, 20);
	assert_int_equal(status.connections[KSPLIT_SAMPLER_USER], 20);
	assert_true(status.events[KSPLIT_SAMPLER_USER] >= 40);
	assert_int_equal(status.lost_bytes, 60);
	assert_int_equal(status.queue_dropped, 0);
	assert_int_equal(status.user, KSPLIT_SAMPLER_USER);
	for (int i = 0; i < HTTP_TROUBLES; i++)
		assert_int_equal(status.troubles[i], 0);
	assert_int_equal(aggregate_snapshot(observer_aggregate(observer), &snapshot), 0);
	assert_int_equal(snapshot.requests, 20);
	assert_int_equal(snapshot.series_len, 1);
	assert_string_equal(snapshot.series[0].key.server_name, "origin.test");
	assert_int_equal(snapshot.endpoints_len, 1);
	assert_int_equal(snapshot.endpoints[0].connections, 20);
	assert_int_equal(snapshot.endpoints[0].open, 0);
	assert_int_equal(snapshot.endpoints[0].bytes_to_origin, 2000);
	aggregate_snapshot_free(&snapshot);
	end();
}

/* The thread takes it without being stopped, and its counts can be read meanwhile. */
static void test_live(void **state)
{
	struct observer_status status;

	(void)state;
	begin(SAMPLER_MODE_USER);
	start();
	tell_connection(5, true);
	for (int ms = 0; ms < PATIENCE_MS; ms++) {
		observer_read_status(observer, &status);
		if (status.requests && status.lost_bytes)
			break;
		poll(NULL, 0, 1);
	}
	observer_read_status(observer, &status); /* the first ones were read while they changed */
	assert_int_equal(status.requests, 1);
	assert_int_equal(status.connections[KSPLIT_SAMPLER_USER], 1);
	assert_true(status.events[KSPLIT_SAMPLER_USER] >= 2);
	assert_int_equal(status.lost_bytes, 3);
	observer_stop(observer);
	expect_request(5);
	end();
}

/* Its open was dropped: its events say nothing, its close counts as one that never opened. */
static void test_unknown(void **state)
{
	struct aggregate_snapshot snapshot;
	struct observer_status status;

	(void)state;
	begin(SAMPLER_MODE_USER);
	tell_connection(6, false);
	tell_close(7, true, 0); /* it says that there was an open, but that one was dropped */
	start();
	observer_stop(observer);
	assert_int_equal(told.requests, 0);
	observer_read_status(observer, &status);
	assert_int_equal(status.events[KSPLIT_SAMPLER_USER], 0);
	assert_int_equal(aggregate_snapshot(observer_aggregate(observer), &snapshot), 0);
	assert_int_equal(snapshot.requests, 0);
	assert_int_equal(snapshot.endpoints_len, 1);
	assert_int_equal(snapshot.endpoints[0].open, 0);
	assert_int_equal(snapshot.endpoints[0].connections, 2);
	assert_int_equal(snapshot.endpoints[0].failed, 2);
	aggregate_snapshot_free(&snapshot);
	end();
}

/* Closed before any event, twice, or with a request that nobody answered. */
static void test_close_first(void **state)
{
	struct observer_status status;
	struct stream_tap tap;

	(void)state;
	begin(SAMPLER_MODE_USER);
	tell_open(8, KSPLIT_SAMPLER_USER);
	tell_close(8, true, 0);
	tell_close(8, true, 0);
	tell_open(9, KSPLIT_SAMPLER_USER);
	tap_begin(&tap, 9, SAMPLER_PLAIN_TCP, no_sockets);
	tap_text(&tap, KSPLIT_REQUESTS, REQUEST);
	stream_tap_release(&tap);
	tell_close(9, true, 0);
	tell_open(10, KSPLIT_SAMPLER_USER);
	tap_begin(&tap, 10, SAMPLER_PLAIN_TCP, no_sockets);
	tap_text(&tap, KSPLIT_REQUESTS, "\x16\x03 no HTTP");
	stream_tap_release(&tap);
	tell_open(11, KSPLIT_SAMPLER_USER); /* never closed */
	start();
	observer_stop(observer);
	assert_int_equal(told.requests, 1);
	assert_int_equal(told.last.status, 0);
	assert_false(told.last.complete);
	observer_read_status(observer, &status);
	assert_int_equal(status.connections[KSPLIT_SAMPLER_USER], 4);
	assert_int_equal(status.not_http, 0); /* told when it is closed */
	end();
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(observer_sampler_name(KSPLIT_SAMPLER_FENTRY), "fentry");
	assert_string_equal(observer_sampler_name(KSPLIT_SAMPLER_SK_MSG), "sk_msg");
	assert_string_equal(observer_sampler_name(KSPLIT_SAMPLER_USER), "user");
	assert_string_equal(observer_sampler_name(KSPLIT_SAMPLER_NONE), "none");
	assert_string_equal(observer_sampler_name(KSPLIT_SAMPLERS), "none");
}

/* As a relay sends where the tap keeps watch (stream_watch.h). */
static void send_watched(struct stream_tap *tap, enum ksplit_stream stream, const char *text)
{
	assert_true(stream_tap_watched(tap, stream));
	assert_int_equal(stream_tap_piece(tap, stream, strlen(text)), strlen(text));
	assert_int_equal(send(tap->fd[stream], text, strlen(text), MSG_NOSIGNAL), strlen(text));
	stream_tap_sent(tap, stream, (uint8_t)text[0], strlen(text));
}

/*
 * A program samples, the daemon sees the end of a body that goes on until the close: its event
 * comes by the queue, and those before it are still in the ring buffer. No gap, and the request is
 * whole.
 */
static void test_end_behind_the_ring(void **state)
{
	struct tcp_pair requests, responses;
	struct observer_status status;
	struct stream_tap tap;
	int fd[KSPLIT_STREAMS];

	(void)state;
	BPF_RIG_NEEDS_BPF();
	if (!begin_at(SAMPLER_MODE_AUTO, KSPLIT_SAMPLER_SK_MSG))
		return;
	tcp_pair_open(&requests, TCP_PAIR_V4);
	tcp_pair_open(&responses, TCP_PAIR_V6);
	fd[KSPLIT_REQUESTS] = requests.client;
	fd[KSPLIT_RESPONSES] = responses.server;
	tell_open(12, KSPLIT_SAMPLER_SK_MSG);
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		assert_int_equal(sampler_enlist(observer_sampler(observer), fd[i], 12, i), 0);
	tap_begin(&tap, 12, SAMPLER_PLAIN_TCP, fd);
	assert_int_equal(tap.kind, KSPLIT_SAMPLER_SK_MSG);
	send_watched(&tap, KSPLIT_REQUESTS, REQUEST);
	send_watched(&tap, KSPLIT_RESPONSES, RESPONSE);
	assert_true(stream_tap_skippable(&tap, KSPLIT_RESPONSES, strlen(RESPONSE)) ==
		    KSPLIT_SKIP_ALL);
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_REQUESTS, strlen(REQUEST)), 0);
	stream_tap_end(&tap, KSPLIT_REQUESTS, strlen(REQUEST), true);
	stream_tap_end(&tap, KSPLIT_RESPONSES, strlen(RESPONSE), true);
	stream_tap_release(&tap);
	tell_close(12, true, tap.lost_bytes);
	start();
	observer_stop(observer);
	observer_read_status(observer, &status);
	for (int i = 0; i < HTTP_TROUBLES; i++)
		assert_int_equal(status.troubles[i], 0);
	assert_int_equal(told.requests, 1);
	expect_request(12);
	assert_int_equal(status.events[KSPLIT_SAMPLER_SK_MSG], 3);
	tcp_pair_close(&requests);
	tcp_pair_close(&responses);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_drains), cmocka_unit_test(test_live),
		cmocka_unit_test(test_unknown),     cmocka_unit_test(test_close_first),
		cmocka_unit_test(test_names),       cmocka_unit_test(test_end_behind_the_ring),
	};

	return cmocka_run_group_tests(tests, bpf_rig_setup, NULL);
}
