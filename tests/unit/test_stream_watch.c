// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/stream_watch.h"
#include "scan_run.h"

#define RECORD 16384
#define LED    64 /* pieces after the socket was full */

/*
 * The program at sk_msg, as far as the watch can tell: the same sampler, compiled for the daemon,
 * that is not shown the record after one that the socket had no room for. What the kernel keeps in
 * maps is the scanner's pair here.
 */
static struct {
	struct scan_run run;
	enum ksplit_stream stream;
	bool blind; /* the next record goes by */
	bool gone;  /* its map has no such socket any more */
	bool write_fails;
	int writes;
} program;

static struct stream_watch watch;
static int sockets[2];

int sampler_read(struct sampler *sampler, int fd, struct ksplit_stream_state *state)
{
	assert_ptr_equal(sampler, &program);
	assert_int_equal(fd, sockets[0]);
	if (program.gone)
		return -ENOENT;
	*state = program.run.pair.stream[program.stream];
	return 0;
}

int sampler_write(struct sampler *sampler, int fd, const struct ksplit_stream_state *state)
{
	assert_ptr_equal(sampler, &program);
	assert_int_equal(fd, sockets[0]);
	if (program.write_fails)
		return -ENOENT;
	program.writes++;
	program.run.pair.stream[program.stream] = *state;
	return 0;
}

int sampler_read_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			 struct ksplit_pending *pending)
{
	assert_ptr_equal(sampler, &program);
	assert_int_equal(state->stream, program.stream);
	assert_non_null(program.run.pair.pending[program.stream]);
	*pending = *program.run.pair.pending[program.stream];
	return 0;
}

int sampler_write_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			  const struct ksplit_pending *pending)
{
	struct ksplit_pending **kept = &program.run.pair.pending[program.stream];

	assert_ptr_equal(sampler, &program);
	assert_int_equal(state->stream, program.stream);
	assert_true(pending->len <= KSPLIT_PENDING_MAX);
	if (program.write_fails)
		return -ENOENT;
	if (!*kept)
		*kept = calloc(1, sizeof(**kept));
	assert_non_null(*kept);
	**kept = *pending;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&program, 0, sizeof(program));
	scan_run_new(&program.run, 512);
	scan_run_begin(&program.run, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	watch = (struct stream_watch){.sampler = (void *)&program, .fd = sockets[0]};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stream_pair_release(&program.run.pair);
	scan_run_free(&program.run);
	close(sockets[0]);
	close(sockets[1]);
	return 0;
}

/* --- a relay --- */

/* The socket had no room: the relay is told, and the program does not see what comes next. */
static void become_full(void)
{
	stream_watch_full(&watch);
	program.blind = true;
}

static struct ksplit_stream_state *seen(void)
{
	return &program.run.pair.stream[program.stream];
}

/* The next piece, sent; 0: the stream is lost. */
static size_t send_piece(const char *data, size_t len)
{
	size_t piece = stream_watch_piece(&watch, len), passed = 0;

	assert_true(piece <= len);
	if (!piece)
		return 0;
	if (program.blind)
		passed = piece < RECORD ? piece : RECORD;
	program.blind = false;
	if (piece > passed)
		scan_run_feed(&program.run, program.stream, data + passed, piece - passed);
	return stream_watch_sent(&watch, (uint8_t)data[0], piece) == STREAM_WATCH_RIGHT ? piece : 0;
}

static bool send_all(const char *data, size_t len)
{
	while (len) {
		size_t piece = send_piece(data, len);

		if (!piece)
			return false;
		data += piece;
		len -= piece;
	}
	return true;
}

static bool send_text(const char *text)
{
	return send_all(text, strlen(text));
}

static void expect_told(const char *text)
{
	scan_run_take(&program.run);
	assert_string_equal(program.run.events.meaning[program.stream].text, text);
}

static void expect_right(uint64_t missed)
{
	struct ksplit_stream_state state;

	assert_int_equal(stream_watch_read(&watch, &state), STREAM_WATCH_RIGHT);
	assert_int_equal(state.total, watch.at);
	assert_int_equal(watch.missed, missed);
}

#define PUT(len) "PUT /x HTTP/1.1\r\nContent-Length: " #len "\r\n\r\n"
#define GET      "GET / HTTP/1.1\r\n\r\n"
#define GET_TOLD "GET / HTTP/1.1~~[FWE 18/0]"

static char body[200000];

/* --- how much goes in one call --- */

/* What is no body goes by a record at most: the program's count is compared after each. */
static void test_heads_go_by_records(void **state)
{
	(void)state;
	assert_int_equal(stream_watch_piece(&watch, 1), 1);
	assert_int_equal(stream_watch_piece(&watch, RECORD - 1), RECORD - 1);
	assert_int_equal(stream_watch_piece(&watch, RECORD + 1), RECORD);
	assert_true(send_text(GET));
	assert_int_equal(stream_watch_piece(&watch, sizeof(body)), RECORD);
	assert_int_equal(watch.wary, 0);
}

/* A body goes at once, but for its last byte: that one is an event, and the one before may lead. */
static void test_bodies_go_at_once(void **state)
{
	(void)state;
	assert_true(send_text(PUT(100000)));
	assert_int_equal(watch.body, 100000);
	assert_int_equal(stream_watch_piece(&watch, 99999), 99999);
	assert_int_equal(stream_watch_piece(&watch, 100000), 99998);
	assert_int_equal(stream_watch_piece(&watch, sizeof(body)), 99998);
	assert_int_equal(send_piece(body, 60000), 60000);
	assert_int_equal(watch.body, 40000);
	assert_int_equal(send_piece(body, sizeof(body)), 39998);
	assert_int_equal(send_piece(body, 2), 2);
	assert_true(send_text(GET));
	expect_told("PUT /x HTTP/1.1~Content-Length: 100000~~[FWE 100043/100000]" GET_TOLD);
	expect_right(0);
	assert_int_equal(program.writes, 0);
}

/* Until the close everything is body. */
static void test_until_close(void **state)
{
	(void)state;
	program.stream = KSPLIT_RESPONSES;
	assert_true(send_text("HTTP/1.1 200 OK\r\n\r\n"));
	assert_true(watch.body == KSPLIT_SKIP_ALL);
	assert_int_equal(send_piece(body, sizeof(body)), sizeof(body));
	assert_true(watch.body == KSPLIT_SKIP_ALL);
	become_full();
	assert_int_equal(send_piece(body, sizeof(body)), sizeof(body));
	assert_int_equal(seen()->total, watch.at - RECORD);
	expect_right(RECORD);
	assert_int_equal(seen()->body_bytes, 2 * sizeof(body));
	assert_int_equal(seen()->message_bytes, watch.at);
	assert_true(seen()->skip == KSPLIT_SKIP_ALL);
}

/* --- after the socket was full --- */

/* One byte leads; when it is the one that is missed the program is told of it, and has seen all. */
static void test_lead_is_missed(void **state)
{
	(void)state;
	become_full();
	assert_int_equal(send_piece(GET, strlen(GET)), 1);
	assert_int_equal(watch.missed, 1);
	assert_int_equal(seen()->total, 1);
	assert_true(seen()->first_ns != 0); /* the message begins with it */
	assert_int_equal(send_piece(&GET[1], strlen(GET) - 1), strlen(GET) - 1);
	expect_told(GET_TOLD);
	expect_right(1);
}

/* In the middle of a line, whose begin the program keeps. */
static void test_lead_is_missed_in_a_line(void **state)
{
	uint64_t begun;

	(void)state;
	assert_true(send_text("GET /one/"));
	begun = seen()->first_ns;
	for (const char *at = "two/three/four"; *at; at++) {
		become_full();
		assert_int_equal(send_piece(at, 2), 1);
	}
	assert_true(begun != 0 && seen()->first_ns == begun);
	assert_true(send_text(" HTTP/1.1\r\n\r\n"));
	expect_told("GET /one/two/three/four HTTP/1.1~~[FWE 36/0]");
	expect_right(14);
}

/* The socket was full, and yet the program saw what came next. */
static void test_lead_is_seen(void **state)
{
	(void)state;
	stream_watch_full(&watch);
	assert_int_equal(send_piece(GET, strlen(GET)), 1);
	assert_int_equal(send_piece(&GET[1], strlen(GET) - 1), strlen(GET) - 1);
	expect_told(GET_TOLD);
	expect_right(0);
	assert_int_equal(program.writes, 0);
}

/* Pieces are led for a while, each by one byte; a piece of one byte leads nothing. */
static void test_wary_for_a_while(void **state)
{
	(void)state;
	stream_watch_full(&watch);
	assert_int_equal(send_piece("G", 1), 1);
	assert_false(watch.led);
	assert_true(send_text(&GET[1]));
	for (int i = 2; i < LED; i++) {
		assert_int_equal(send_piece(GET, strlen(GET)), 1);
		assert_int_equal(send_piece(&GET[1], strlen(GET) - 1), strlen(GET) - 1);
	}
	assert_int_equal(watch.wary, 0);
	assert_int_equal(send_piece(GET, strlen(GET)), strlen(GET));
	stream_watch_full(&watch); /* begins anew, also between a lead and its piece */
	assert_int_equal(send_piece(GET, strlen(GET)), 1);
	stream_watch_full(&watch);
	assert_int_equal(send_piece(&GET[1], strlen(GET) - 1), 1);
	assert_int_equal(watch.wary, LED);
}

/* Nobody told, but the socket has no room now. */
static void test_full_socket_is_seen(void **state)
{
	(void)state;
	while (send(sockets[0], body, sizeof(body), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(stream_watch_piece(&watch, 100), 1);
	assert_int_equal(watch.wary, LED);
	assert_int_equal(stream_watch_sent(&watch, 'G', 1), STREAM_WATCH_RIGHT); /* missed */
	assert_int_equal(watch.missed, 1);
	assert_int_equal(stream_watch_piece(&watch, 100), 100); /* still full, but led */
	while (recv(sockets[1], body, sizeof(body), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(stream_watch_sent(&watch, 'E', 100), STREAM_WATCH_WRONG);
}

/* --- bodies that were missed in part --- */

static void test_missed_body_is_added(void **state)
{
	(void)state;
	assert_true(send_text(PUT(100000)));
	assert_int_equal(send_piece(body, 10000), 10000);
	become_full();
	assert_int_equal(send_piece(body, 50000), 50000);
	become_full();
	assert_int_equal(send_piece(body, 10000), 10000);
	assert_int_equal(watch.missed, 0); /* not known yet */
	assert_int_equal(seen()->skip, 30000 + RECORD + 10000);
	expect_right(RECORD + 10000);
	assert_int_equal(seen()->skip, 30000);
	assert_int_equal(seen()->body_bytes, 70000);
	assert_int_equal(seen()->message_bytes, 70043);
	become_full();
	assert_true(send_all(body, 30000)); /* put right before the last two bytes */
	assert_true(send_text(GET));
	expect_told("PUT /x HTTP/1.1~Content-Length: 100000~~[FWE 100043/100000]" GET_TOLD);
	expect_right(2 * RECORD + 10000);
}

static void test_missed_chunk_is_added(void **state)
{
	(void)state;
	assert_true(send_text("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n"));
	become_full();
	assert_true(send_all(body, 0x4000));
	assert_true(send_text("\r\n0\r\n\r\n"));
	expect_told("POST / HTTP/1.1~Transfer-Encoding: chunked~~[FWE 16444/16384]");
	expect_right(0x4000 - 2);
}

/* The body's last byte but one leads the rest. */
static void test_full_before_the_end_of_a_body(void **state)
{
	static const char rest[] = "xx" GET;

	(void)state;
	assert_true(send_text(PUT(10)));
	assert_int_equal(send_piece(body, 10), 8);
	become_full();
	assert_int_equal(send_piece(rest, strlen(rest)), 1);
	assert_int_equal(send_piece(&rest[1], strlen(rest) - 1), strlen(rest) - 1);
	expect_told("PUT /x HTTP/1.1~Content-Length: 10~~[FWE 49/10]" GET_TOLD);
	expect_right(1);
}

/* A lead is the lead of what comes right behind it, not of what follows a body. */
static void test_lead_before_a_body(void **state)
{
	(void)state;
	assert_true(send_all(PUT(10), strlen(PUT(10)) - 1));
	stream_watch_full(&watch);
	assert_int_equal(send_piece("\n0123456789", 11), 1);
	assert_true(watch.led);
	assert_int_equal(send_piece(body, 10), 8);
	assert_int_equal(stream_watch_piece(&watch, 10), 1);
}

/* Nobody knew that the socket was full: wary from then on. */
static void test_missed_body_makes_wary(void **state)
{
	(void)state;
	assert_true(send_text(PUT(1000)));
	program.blind = true;
	assert_int_equal(send_piece(body, 1000), 998);
	assert_int_equal(watch.wary, 0);
	assert_int_equal(send_piece(body, 1000), 1);
	assert_int_equal(watch.wary, LED);
	expect_right(998);
}

/* What is not HTTP has no body, but its bytes are counted. */
static void test_missed_of_another_protocol(void **state)
{
	(void)state;
	assert_true(send_text("\x16\x03 no HTTP\r\n"));
	become_full();
	assert_true(send_all(body, 100000));
	expect_right(RECORD);
	assert_int_equal(seen()->body_bytes, 0);
	assert_int_equal(seen()->message_bytes, 0);
}

/* --- what cannot be put right --- */

/* A record that nobody expected to be missed. */
static void test_head_is_missed(void **state)
{
	(void)state;
	program.blind = true;
	assert_false(send_text(GET));
	assert_int_equal(watch.missed, strlen(GET));
	assert_int_equal(watch.wary, LED);
}

/* One byte that was all there was to send is no lead. */
static void test_single_byte_is_missed(void **state)
{
	(void)state;
	become_full();
	assert_int_equal(send_piece(GET, 1), 0);
	assert_int_equal(watch.missed, 1);
}

/* A lead that is missed and more: not what the lead was for. */
static void test_more_than_the_lead_is_missed(void **state)
{
	(void)state;
	become_full();
	assert_int_equal(send_piece(GET, strlen(GET)), 1);
	program.blind = true;
	assert_int_equal(send_piece(&GET[1], strlen(GET) - 1), 0);
	assert_int_equal(watch.missed, strlen(GET));
	tear_down(state);
	set_up(state);
	assert_true(send_text(GET));
	become_full();
	seen()->total--;
	assert_int_equal(send_piece(GET, strlen(GET)), 0);
}

/* For the program the lead is body: it cannot be the begin of anything. */
static void test_lead_is_body_for_the_program(void **state)
{
	(void)state;
	become_full();
	seen()->skip = 5;
	assert_int_equal(send_piece(GET, strlen(GET)), 0);
}

/* The program gave the stream up: nothing of it needs to be seen. */
static void test_program_gave_up(void **state)
{
	(void)state;
	assert_true(send_text(PUT(1000)));
	seen()->skip = KSPLIT_SKIP_ALL;
	expect_right(0);
	assert_true(watch.body == KSPLIT_SKIP_ALL);
	assert_int_equal(send_piece(body, sizeof(body)), sizeof(body));
}

/* The program has counted more than was sent, or is elsewhere in the body. */
static void test_program_is_elsewhere(void **state)
{
	struct ksplit_stream_state told;

	(void)state;
	assert_true(send_text(PUT(1000)));
	seen()->total++;
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
	seen()->total -= 2; /* nothing was sent since the last look: nothing can have been missed */
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
	seen()->total++;
	become_full();
	assert_int_equal(send_piece(body, 500), 500);
	seen()->skip--;
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
	seen()->skip++;
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_RIGHT);
	seen()->total += 3;
	watch.body = 0;
	watch.missed = 0;
	assert_int_equal(stream_watch_sent(&watch, 'x', 2), STREAM_WATCH_WRONG);
	assert_int_equal(watch.missed, 0);
}

/* Where everything is body, too. */
static void test_program_is_elsewhere_until_the_close(void **state)
{
	struct ksplit_stream_state told;

	(void)state;
	program.stream = KSPLIT_RESPONSES;
	assert_true(send_text("HTTP/1.1 200 OK\r\n\r\n"));
	assert_int_equal(send_piece(body, 1000), 1000);
	seen()->total++;
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
	seen()->total--;
	expect_right(0);
	seen()->total--; /* nothing was sent since */
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
}

static void test_program_cannot_be_asked(void **state)
{
	struct ksplit_stream_state told;

	(void)state;
	assert_true(send_text(PUT(1000)));
	assert_int_equal(send_piece(body, 1000), 998);
	program.gone = true;
	assert_int_equal(stream_watch_piece(&watch, 2), 0);
	assert_int_equal(stream_watch_read(&watch, &told), STREAM_WATCH_WRONG);
	assert_int_equal(stream_watch_sent(&watch, 0, 2), STREAM_WATCH_WRONG);
}

static void test_program_cannot_be_told(void **state)
{
	(void)state;
	assert_true(send_text(PUT(1000)));
	become_full();
	assert_int_equal(send_piece(body, 1000), 998);
	program.write_fails = true;
	assert_int_equal(stream_watch_piece(&watch, 2), 0);
	program.write_fails = false;
	assert_true(send_all(body, 2));
	become_full();
	program.write_fails = true;
	assert_int_equal(send_piece(GET, strlen(GET)), 0);
}

/* No room for one byte more of the line. */
static void test_line_is_too_long_to_keep(void **state)
{
	(void)state;
	assert_true(send_text("GET /"));
	assert_non_null(program.run.pair.pending[KSPLIT_REQUESTS]);
	program.run.pair.pending[KSPLIT_REQUESTS]->len = KSPLIT_PENDING_MAX;
	become_full();
	assert_int_equal(send_piece("long", 4), 0);
	program.run.pair.pending[KSPLIT_REQUESTS]->len = KSPLIT_PENDING_MAX - 1;
	program.run.pair.stream[KSPLIT_REQUESTS].total = watch.at;
	become_full();
	assert_int_equal(send_piece("long", 4), 1);
}

/* --- all of it, at random --- */

static size_t make_stream(char *to, size_t size)
{
	size_t used = 0;

	for (int i = 0; i < 60; i++) {
		size_t len = i % 3 ? (size_t)i * 997 : 0;

		used += (size_t)snprintf(to + used, size - used,
					 "PUT /%d HTTP/1.1\r\nHost: h%d\r\nX: y\r\n"
					 "Content-Length: %zu\r\n\r\n",
					 i, i, len);
		memset(to + used, 'b', len);
		used += len;
		used += (size_t)snprintf(to + used, size - used,
					 "POST /%d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
					 "5\r\n12345\r\n%zx\r\n",
					 i, len + 1);
		memset(to + used, 'c', len + 1);
		used += len + 1;
		used += (size_t)snprintf(to + used, size - used, "\r\n0\r\nT: r\r\n\r\n");
	}
	return used;
}

/*
 * Full at any time but where nothing can lead: before a body's last byte, and where the relay has
 * but one byte to send.
 */
static void send_at_random(const char *data, size_t len, uint64_t seed)
{
	uint64_t random = seed;

	while (len) {
		size_t most = 1 + scan_random(&random) % (scan_random(&random) % 3 ? 60 : 40000);
		size_t piece;

		most = most < len ? most : len;
		if (most > 1 && watch.body != 1 && scan_random(&random) % 3 == 0)
			become_full();
		piece = send_piece(data, most);
		assert_true(piece != 0);
		data += piece;
		len -= piece;
	}
}

static void check_at_random(const char *data, size_t len, bool http2)
{
	static struct scan_run plain;
	void *state = NULL;

	scan_run_new(&plain, 512);
	scan_run_begin(&plain, http2);
	plain.events.any_bytes = http2;
	scan_run_stream(&plain, KSPLIT_REQUESTS, data, len);
	assert_true(plain.events.meaning[KSPLIT_REQUESTS].len > 5000);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		tear_down(&state);
		set_up(&state);
		program.run.pair.pair.http2 = http2;
		program.run.events.any_bytes = http2;
		send_at_random(data, len, seed);
		expect_told(plain.events.meaning[KSPLIT_REQUESTS].text);
		assert_true(watch.missed > 0);
		expect_right(watch.missed);
	}
	stream_pair_release(&plain.pair);
	scan_run_free(&plain);
}

static void test_at_random(void **state)
{
	size_t size = 8 << 20;
	char *data = malloc(size);

	(void)state;
	assert_non_null(data);
	check_at_random(data, make_stream(data, size), false);
	free(data);
}

static size_t put_frame(char *to, uint8_t type, uint32_t id, size_t len)
{
	const uint8_t header[9] = {
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, 4, 0, 0,
		(uint8_t)(id >> 8),   (uint8_t)id};

	memcpy(to, header, sizeof(header));
	memset(to + sizeof(header), 'a' + type, len);
	return sizeof(header) + len;
}

/* Frames whose payload is told of whole (HEADERS, 1), and others (DATA, 0; WINDOW_UPDATE, 8). */
static void test_http2_at_random(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static char data[1 << 20];
	size_t len = strlen(preface);

	(void)state;
	memcpy(data, preface, len);
	for (uint32_t i = 0; i < 60; i++) {
		len += put_frame(data + len, 1, 2 * i + 1, 20 + 7 * i);
		len += put_frame(data + len, 0, 2 * i + 1, i % 3 ? i * 150 : i % 2);
		len += put_frame(data + len, 8, 0, 4);
	}
	check_at_random(data, len, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_heads_go_by_records),
		T(test_bodies_go_at_once),
		T(test_until_close),
		T(test_lead_is_missed),
		T(test_lead_is_missed_in_a_line),
		T(test_lead_is_seen),
		T(test_wary_for_a_while),
		T(test_full_socket_is_seen),
		T(test_missed_body_is_added),
		T(test_missed_chunk_is_added),
		T(test_full_before_the_end_of_a_body),
		T(test_lead_before_a_body),
		T(test_missed_body_makes_wary),
		T(test_missed_of_another_protocol),
		T(test_head_is_missed),
		T(test_single_byte_is_missed),
		T(test_more_than_the_lead_is_missed),
		T(test_lead_is_body_for_the_program),
		T(test_program_gave_up),
		T(test_program_is_elsewhere),
		T(test_program_is_elsewhere_until_the_close),
		T(test_program_cannot_be_asked),
		T(test_program_cannot_be_told),
		T(test_line_is_too_long_to_keep),
		T(test_at_random),
		T(test_http2_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
