// SPDX-License-Identifier: GPL-2.0-or-later
/* Relays of connections that somebody looks at: what is copied, and what may be spliced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "relay_rig.h"
#include "scan_run.h"

#define BODY   3000000
#define REPEAT 3

static struct lab lab;
static struct scan_run run;
static struct sampler *sampler;
static struct stream_tap tap;

static int group_setup(void **state)
{
	(void)state;
	lab_open(&lab);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

/* Raw, and between two ends of kernel TLS where the kernel has it. */
static bool open_rig(struct relay_rig *rig, enum relay_choice choice, bool kernel)
{
	const struct sampler_options sampling = {.mode = SAMPLER_MODE_USER};
	const struct end_options tls = {
		.suite = &tls_suites[3], .rx_kernel = true, .tx_kernel = true};
	struct relay_options options = {.choice = choice};
	char error[256];

	if (kernel)
		options.client = options.upstream = tls;
	if (!rig_possible(&lab, &options.client))
		return false;
	memset(lab.scratch, 0, sizeof(lab.scratch));
	relay_rig_open(rig, &lab, &options);
	scan_run_new(&run, 512);
	assert_int_equal(sampler_new(&sampling, NULL, &sampler, error, sizeof(error)), 0);
	stream_tap_begin(&tap, &(struct stream_tap_options){.sampler = sampler,
							    .scanner = run.scanner,
							    .place = SAMPLER_USER_TLS,
							    .fd = {-1, -1}});
	relay_flow_tap(&rig->flow[FLOW_TO_ORIGIN], &tap, KSPLIT_REQUESTS);
	relay_flow_tap(&rig->flow[FLOW_TO_CLIENT], &tap, KSPLIT_RESPONSES);
	return true;
}

static void close_rig(struct relay_rig *rig)
{
	relay_rig_close(rig);
	stream_tap_release(&tap);
	sampler_free(sampler);
	scan_run_free(&run);
}

typedef void (*rig_case)(struct relay_rig *rig);

static void each_rig(enum relay_choice choice, rig_case run_case)
{
	for (int kernel = 0; kernel < 2; kernel++) {
		struct relay_rig rig;

		if (!open_rig(&rig, choice, kernel))
			continue;
		run_case(&rig);
		close_rig(&rig);
	}
}

/* Nothing of what went through it is left in the worker's buffer. */
static void expect_wiped(const struct relay_rig *rig)
{
	assert_int_equal(rig->env.scratch_used, 0);
	for (size_t i = 0; i < sizeof(lab.scratch); i++)
		if (lab.scratch[i])
			fail_msg("byte %zu of the buffer is left", i);
}

static void relay_stream(struct relay_rig *rig, struct stream *stream)
{
	struct stream *streams[FLOWS] = {stream, NULL};

	relay_rig_run(rig, streams);
	relay_rig_until(rig, FLOW_TO_ORIGIN, RELAY_WAIT_SOURCE);
	expect_wiped(rig);
	scan_run_take(&run);
}

static void relay_text(struct relay_rig *rig, const char *text)
{
	assert_int_equal(peer_write(relay_rig_from(rig, 0), text, strlen(text)), strlen(text));
	relay_rig_until(rig, FLOW_TO_ORIGIN, RELAY_WAIT_SOURCE);
	peer_expect(relay_rig_to(rig, 0), text, strlen(text));
	expect_wiped(rig);
	scan_run_take(&run);
}

/* Heads with large bodies, one behind the other without a pause. */
static void relay_bodies(struct relay_rig *rig)
{
	char head[100], expected[1000] = "";
	uint64_t before = rig->info[FLOW_TO_ORIGIN].bytes;
	struct stream stream;
	size_t head_len = (size_t)snprintf(head, sizeof(head),
					   "PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", BODY);

	stream_open(&stream, REPEAT * (BODY + head_len), 200000);
	for (int i = 0; i < REPEAT; i++) {
		size_t used = strlen(expected);

		memcpy(stream.bytes + (size_t)i * (BODY + head_len), head, head_len);
		snprintf(expected + used, sizeof(expected) - used,
			 "PUT / HTTP/1.1~Content-Length: %d~~[FWE %zu/%d]", BODY, BODY + head_len,
			 BODY);
	}
	relay_stream(rig, &stream);
	assert_string_equal(run.events.meaning[KSPLIT_REQUESTS].text, expected);
	assert_int_equal(rig->info[FLOW_TO_ORIGIN].bytes - before, stream.len);
	free(stream.bytes);
}

static void case_copy(struct relay_rig *rig)
{
	relay_bodies(rig);
	assert_int_equal(rig->info[FLOW_TO_ORIGIN].spliced, 0);
}

static void test_copy(void **state)
{
	(void)state;
	each_rig(RELAY_CHOICE_COPY, case_copy);
}

/* Forced splice goes by hand until there is a body, then splices it, then goes by hand again. */
static void case_splice(struct relay_rig *rig)
{
	const struct conn_flow_info *info = &rig->info[FLOW_TO_ORIGIN];

	for (int i = 0; i < 5; i++)
		relay_text(rig, "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345");
	assert_int_equal(info->spliced, 0);
	assert_ptr_equal(rig->flow[FLOW_TO_ORIGIN].ops, &relay_ops_copy);
	scan_events_drop(&run.events);
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		run.events.meaning[i].sequence = tap.pair->stream[i].sequence;
	relay_bodies(rig);
	/* Kernel TLS of Linux 7 hands over much of it by hand. */
	assert_in_range(info->spliced,
			rig->side[0].end.rx == &relay_rx_raw ? REPEAT * (BODY / 2) : BODY / 2,
			REPEAT * BODY);
	assert_ptr_equal(rig->flow[FLOW_TO_ORIGIN].ops, &relay_ops_copy);
	assert_int_equal(rig->pipes.lent, 0);
}

static void test_splice(void **state)
{
	(void)state;
	each_rig(RELAY_CHOICE_SPLICE, case_splice);
}

static void case_auto(struct relay_rig *rig)
{
	relay_bodies(rig);
	assert_in_range(rig->info[FLOW_TO_ORIGIN].spliced, 1, REPEAT * BODY);
}

static void test_auto(void **state)
{
	(void)state;
	each_rig(RELAY_CHOICE_AUTO, case_auto);
}

/* A body that is too short for a record's splice is copied. */
static void case_short_body(struct relay_rig *rig)
{
	static char text[RELAY_SPLICE_MIN];
	int len = snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: 16383\r\n\r\n");

	relay_text(rig, text);
	assert_int_equal(tap.pair->stream[KSPLIT_REQUESTS].skip, RELAY_SPLICE_MIN - 1);
	memset(text, 'b', RELAY_SPLICE_MIN - 1);
	relay_text(rig, text);
	assert_int_equal(rig->info[FLOW_TO_ORIGIN].spliced, 0);
	assert_true(len > 0 && strstr(run.events.meaning[0].text, "/16383]"));
}

static void test_short_body(void **state)
{
	(void)state;
	each_rig(RELAY_CHOICE_SPLICE, case_short_body);
}

/* No HTTP: after the first bytes nobody looks any more. */
static void case_opaque(struct relay_rig *rig)
{
	struct stream stream;

	relay_text(rig, "\x16\x03\x01");
	assert_string_equal(run.events.meaning[KSPLIT_REQUESTS].text, "OTHER");
	assert_ptr_equal(rig->flow[FLOW_TO_ORIGIN].ops, &relay_ops_splice);
	stream_open(&stream, 1000000, 100000);
	relay_stream(rig, &stream);
	/* Kernel TLS: what comes behind a session ticket goes by hand. */
	assert_in_range(rig->info[FLOW_TO_ORIGIN].spliced, 1000000 - SCRATCH_LEN, 1000000);
	assert_string_equal(run.events.meaning[KSPLIT_REQUESTS].text, "OTHER");
	free(stream.bytes);
}

static void test_opaque(void **state)
{
	(void)state;
	each_rig(RELAY_CHOICE_SPLICE, case_opaque);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),   cmocka_unit_test(test_splice),
		cmocka_unit_test(test_auto),   cmocka_unit_test(test_short_body),
		cmocka_unit_test(test_opaque),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
