// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "observe/stream_tap.h"
#include "scan_run.h"

/* The daemon's own sampler; the programs' taps are tried by test_sampler and test_observer. */

static struct scan_run run;
static struct sampler *sampler;
static struct stream_tap tap;

static void begin(enum sampler_mode mode, bool http2)
{
	const struct sampler_options options = {.mode = mode};
	char error[256];

	scan_run_new(&run, 512);
	assert_int_equal(sampler_new(&options, NULL, &sampler, error, sizeof(error)), 0);
	stream_tap_begin(&tap, &(struct stream_tap_options){.sampler = sampler,
							    .scanner = run.scanner,
							    .place = SAMPLER_USER_TLS,
							    .conn = 7,
							    .http2 = http2,
							    .fd = {-1, -1}});
}

static void end(void)
{
	stream_tap_release(&tap);
	assert_int_equal(tap.kind, KSPLIT_SAMPLER_NONE);
	assert_null(tap.pair);
	stream_tap_release(&tap); /* again: nothing */
	sampler_free(sampler);
	scan_run_free(&run);
}

static void data(enum ksplit_stream stream, const char *text)
{
	stream_tap_data(&tap, stream, text, strlen(text));
}

static void expect(enum ksplit_stream stream, const char *text)
{
	scan_run_take(&run);
	assert_string_equal(run.events.meaning[stream].text, text);
}

static void test_message(void **state)
{
	(void)state;
	begin(SAMPLER_MODE_USER, false);
	assert_int_equal(tap.kind, KSPLIT_SAMPLER_USER);
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 0), 0);
	data(KSPLIT_REQUESTS, "PUT / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n12345");
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 49), 99995);
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_RESPONSES, 0), 0);
	stream_tap_spliced(&tap, KSPLIT_REQUESTS, 99990);
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 100039), 5);
	data(KSPLIT_REQUESTS, "12345GET / HT");
	assert_int_equal(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 100052), 0);
	data(KSPLIT_REQUESTS, "TP/1.1\r\n\r\n");
	expect(KSPLIT_REQUESTS, "PUT / HTTP/1.1~Content-Length: 100000~~[FWE 100042/100000]"
				"GET / HTTP/1.1~~[FWE 18/0]");
	assert_int_equal(tap.lost_bytes, 0);
	end();
}

/* The end of a stream is told once, and nothing of it needs to be seen afterwards. */
static void test_end(void **state)
{
	(void)state;
	begin(SAMPLER_MODE_USER, false);
	data(KSPLIT_REQUESTS, "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12");
	data(KSPLIT_RESPONSES, "HTTP/1.1 200 OK\r\n\r\nbody");
	assert_true(stream_tap_skippable(&tap, KSPLIT_RESPONSES, 23) == KSPLIT_SKIP_ALL);
	stream_tap_spliced(&tap, KSPLIT_RESPONSES, 1000);
	for (int i = 0; i < 2; i++) {
		stream_tap_end(&tap, KSPLIT_REQUESTS, 39, true);
		stream_tap_end(&tap, KSPLIT_RESPONSES, 1023, false);
	}
	expect(KSPLIT_REQUESTS, "PUT / HTTP/1.1~Content-Length: 5~~[FWEA 39/2]");
	expect(KSPLIT_RESPONSES, "HTTP/1.1 200 ~~[FWE 1023/1004]");
	assert_true(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 39) == KSPLIT_SKIP_ALL);
	end();
}

/* What was spliced although it had to be seen: the stream is lost, the other one is not. */
static void test_spliced_too_much(void **state)
{
	(void)state;
	begin(SAMPLER_MODE_USER, false);
	data(KSPLIT_REQUESTS, "GET / HTTP/1.1\r\nHo");
	stream_tap_spliced(&tap, KSPLIT_REQUESTS, 10);
	assert_true(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 28) == KSPLIT_SKIP_ALL);
	data(KSPLIT_RESPONSES, "HTTP/1.1 204 No Content\r\n\r\n");
	stream_tap_end(&tap, KSPLIT_REQUESTS, 28, true);
	expect(KSPLIT_REQUESTS, "GET / HTTP/1.1~LOST");
	expect(KSPLIT_RESPONSES, "HTTP/1.1 204 ~~[FWEB 27/0]");
	end();
}

static void test_opaque(void **state)
{
	(void)state;
	begin(SAMPLER_MODE_USER, false);
	data(KSPLIT_REQUESTS, "\x16");
	assert_true(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 1) == KSPLIT_SKIP_ALL);
	expect(KSPLIT_REQUESTS, "OTHER");
	end();
}

/* ALPN said so: the server's first frame comes before the client's preface. */
static void test_http2(void **state)
{
	static const char settings[9] = {0, 0, 0, 4};

	(void)state;
	begin(SAMPLER_MODE_USER, true);
	stream_tap_data(&tap, KSPLIT_RESPONSES, settings, sizeof(settings));
	expect(KSPLIT_RESPONSES, "000000040000000000");
	end();
}

/* Off, or nothing but zeros: it sees nothing, and asks for nothing. */
static void test_off(void **state)
{
	struct stream_tap none = {0};

	(void)state;
	begin(SAMPLER_MODE_OFF, false);
	assert_int_equal(tap.kind, KSPLIT_SAMPLER_NONE);
	data(KSPLIT_REQUESTS, "GET / HTTP/1.1\r\n\r\n");
	stream_tap_spliced(&tap, KSPLIT_REQUESTS, 5);
	assert_true(stream_tap_skippable(&tap, KSPLIT_REQUESTS, 18) == KSPLIT_SKIP_ALL);
	stream_tap_end(&tap, KSPLIT_REQUESTS, 18, true);
	expect(KSPLIT_REQUESTS, "");
	assert_true(stream_tap_skippable(&none, KSPLIT_REQUESTS, 0) == KSPLIT_SKIP_ALL);
	stream_tap_data(NULL, KSPLIT_REQUESTS, "x", 1);
	stream_tap_spliced(NULL, KSPLIT_REQUESTS, 1);
	stream_tap_end(&none, KSPLIT_REQUESTS, 0, true);
	stream_tap_release(&none);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_spliced_too_much),
		cmocka_unit_test(test_opaque),
		cmocka_unit_test(test_http2),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
