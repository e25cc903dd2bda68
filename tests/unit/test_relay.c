// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "emulated.h"
#include "relay_rig.h"

#define MIB (1 << 20)

static struct lab lab;

static int setup(void **state)
{
	(void)state;
	lab_open(&lab);
	if (!lab.support.ulp)
		printf("relays: raw and user space; this kernel has no TLS to splice between\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

static const enum relay_choice choices[] = {RELAY_CHOICE_AUTO, RELAY_CHOICE_SPLICE,
					    RELAY_CHOICE_COPY};

/* Every pair of ends that this kernel can do. */
struct setting {
	const char *name;
	bool raw, client_rx, client_tx, upstream_rx, upstream_tx;
};

static const struct setting settings[] = {
	{"raw", true, 0, 0, 0, 0},
	{"user", false, 0, 0, 0, 0},
	{"kernel", false, 1, 1, 1, 1},
	{"kernel and user", false, 1, 1, 0, 0},
	{"user and kernel", false, 0, 0, 1, 1},
	{"one direction each", false, 1, 0, 0, 1},
};

typedef void (*relay_case)(struct relay_rig *rig);

static bool all_in_kernel(const struct setting *setting)
{
	return setting->client_rx && setting->client_tx && setting->upstream_rx &&
	       setting->upstream_tx;
}

/*
 * An emulated machine has all suites where all of it is the kernel's; of the others, whose user
 * space is the host's, one of each version: every fourth, by auto and by splice.
 */
static size_t step_of(const struct setting *setting)
{
	return is_emulated() && !setting->raw && !all_in_kernel(setting) ? 4 : 1;
}

/*
 * Each setting with each version and each choice; `whole`: with each cipher too. The ends differ in
 * cipher and version, in turn.
 */
static int each_relay(bool narrow, bool whole, relay_case run)
{
	size_t tls_runs = whole && !is_emulated() ? 3 * TLS_SUITES : TLS_SUITES;
	int done = 0, least = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const struct setting *setting = &settings[i];
		size_t runs = setting->raw ? 3 : tls_runs;

		if (i < 2 || (lab.support.ulp && i < 4))
			least += (int)((runs + step_of(setting) - 1) / step_of(setting));
		for (size_t k = 0; k < runs; k += step_of(setting)) {
			const struct tls_suite *first = &tls_suites[k % TLS_SUITES];
			const struct tls_suite *second = &tls_suites[(k + k / 2) % TLS_SUITES];
			const struct relay_options options = {
				.client = {.suite = setting->raw ? NULL : first,
					   .rx_kernel = setting->client_rx,
					   .tx_kernel = setting->client_tx,
					   .narrow = narrow},
				.upstream = {.suite = setting->raw ? NULL : second,
					     .rx_kernel = setting->upstream_rx,
					     .tx_kernel = setting->upstream_tx,
					     .narrow = narrow},
				.choice = choices[(k + k / TLS_SUITES) % 3],
			};
			struct relay_rig rig;

			if (!rig_possible(&lab, &options.client) ||
			    !rig_possible(&lab, &options.upstream))
				continue;
			relay_rig_open(&rig, &lab, &options);
			run(&rig);
			relay_rig_close(&rig);
			done++;
		}
	}
	assert_true(done >= least);
	return done;
}

/* --- bytes --- */

static bool is_raw(const struct relay_rig *rig)
{
	return rig->side[0].end.rx == &relay_rx_raw;
}

static bool may_splice(const struct relay_flow *flow)
{
	return flow->src->rx != &relay_rx_user && flow->dst->tx != &relay_tx_user;
}

static void expect_accounts(const struct relay_rig *rig, enum conn_flow index, size_t len)
{
	const struct relay_flow *flow = &rig->flow[index];
	const struct conn_flow_info *info = &rig->info[index];

	assert_int_equal(info->bytes, len);
	if (flow->choice == RELAY_CHOICE_COPY || !may_splice(flow))
		assert_int_equal(info->spliced, 0);
	else if (flow->choice == RELAY_CHOICE_SPLICE && is_raw(rig))
		assert_int_equal(info->spliced, len);
	else if (flow->choice == RELAY_CHOICE_SPLICE) /* what comes behind a ticket goes by hand */
		assert_in_range(info->spliced, len < SCRATCH_LEN ? 0 : len - SCRATCH_LEN, len);
	if (is_raw(rig))
		assert_int_equal(info->relay, CONN_RELAY_RAW);
	else if (!may_splice(flow))
		assert_int_equal(info->relay, CONN_RELAY_USER);
	else if (info->spliced == len)
		assert_int_equal(info->relay, CONN_RELAY_SPLICE);
	else if (info->spliced == 0)
		assert_int_equal(info->relay, CONN_RELAY_COPY);
}

static void both_ways(struct relay_rig *rig, size_t len, size_t max_write)
{
	struct stream to_origin, to_client;
	struct stream *streams[FLOWS] = {&to_origin, &to_client};
	uint64_t counted = lab_count(&lab, STAT_BYTES_TO_ORIGIN);

	stream_open(&to_origin, len, max_write);
	stream_open(&to_client, len + 12345, max_write);
	relay_rig_run(rig, streams);
	expect_accounts(rig, FLOW_TO_ORIGIN, len);
	expect_accounts(rig, FLOW_TO_CLIENT, len + 12345);
	assert_int_equal(lab_count(&lab, STAT_BYTES_TO_ORIGIN) - counted, len);
	/* An idle connection has borrowed nothing. */
	for (int i = 0; i < FLOWS; i++)
		relay_rig_until(rig, i, RELAY_WAIT_SOURCE);
	assert_int_equal(rig->pipes.lent, 0);
	assert_null(rig->side[SIDE_CLIENT].out.block);
	assert_null(rig->side[SIDE_UPSTREAM].out.block);
	free(to_origin.bytes);
	free(to_client.bytes);
}

static void case_both_ways(struct relay_rig *rig)
{
	both_ways(rig, 300000, 60000);
}

static void case_small_writes(struct relay_rig *rig)
{
	both_ways(rig, is_emulated() ? 5000 : 20000, 200);
}

static void case_narrow(struct relay_rig *rig)
{
	both_ways(rig, 300000, 40000);
}

static void test_both_ways(void **state)
{
	(void)state;
	printf("%d relays\n", each_relay(false, true, case_both_ways));
}

static void test_small_writes(void **state)
{
	(void)state;
	each_relay(false, false, case_small_writes);
}

static void test_narrow(void **state)
{
	(void)state;
	each_relay(true, false, case_narrow);
}

/* Several MiB each way, raw and, where there is one, through the kernel's TLS. */
static void test_bulk(void **state)
{
	const struct end_options none = {0};
	const struct end_options kernel = {
		.suite = &tls_suites[3], .rx_kernel = true, .tx_kernel = true};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		const struct end_options *end = i < 3 ? &none : &kernel;
		const struct relay_options options = {
			.client = *end, .upstream = *end, .choice = choices[i % 3]};
		struct relay_rig rig;

		if (!rig_possible(&lab, end))
			continue;
		relay_rig_open(&rig, &lab, &options);
		both_ways(&rig, 6 * MIB, 300000);
		if (options.choice == RELAY_CHOICE_AUTO)
			assert_true(rig.info[FLOW_TO_ORIGIN].spliced > 0);
		relay_rig_close(&rig);
	}
}

/* Auto: small messages by hand, bulk through the pipe, and back by hand when it is over. */
static void test_auto(void **state)
{
	const struct relay_options options = {.choice = RELAY_CHOICE_AUTO};
	struct stream bulk, *streams[FLOWS] = {&bulk, NULL};
	struct relay_rig rig;
	uint64_t spliced;

	(void)state;
	relay_rig_open(&rig, &lab, &options);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(peer_write(relay_rig_from(&rig, 0), "small", 5), 5);
		relay_rig_until(&rig, 0, RELAY_WAIT_SOURCE);
		peer_expect(relay_rig_to(&rig, 0), "small", 5);
	}
	assert_int_equal(rig.info[0].spliced, 0);
	stream_open(&bulk, 8 * MIB, 500000);
	relay_rig_run(&rig, streams);
	spliced = rig.info[0].spliced;
	assert_true(spliced > 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(peer_write(relay_rig_from(&rig, 0), "small", 5), 5);
		relay_rig_until(&rig, 0, RELAY_WAIT_SOURCE);
		peer_expect(relay_rig_to(&rig, 0), "small", 5);
	}
	assert_true(rig.info[0].spliced - spliced <= 10);
	assert_ptr_equal(rig.flow[0].ops, &relay_ops_copy);
	free(bulk.bytes);
	relay_rig_close(&rig);
}

/* --- a reader that does not read --- */

static void case_back_pressure(struct relay_rig *rig)
{
	struct stream stream, *streams[FLOWS] = {NULL, &stream};
	int calm = 0;

	stream_open(&stream, 2 * MIB, 50000);
	/* Until nothing moves any more, though the origin has more to say. */
	for (int idle = 0; calm < 10; relay_rig_rest(&idle, false)) {
		uint64_t before = rig->info[FLOW_TO_CLIENT].bytes + stream.sent;

		stream_write(&stream, relay_rig_from(rig, FLOW_TO_CLIENT));
		relay_rig_pump(rig, FLOW_TO_CLIENT);
		if (before == rig->info[FLOW_TO_CLIENT].bytes + stream.sent &&
		    rig->result[FLOW_TO_CLIENT] == RELAY_WAIT_SINK)
			calm++;
		else
			calm = 0;
	}
	assert_true(stream.sent < stream.len);
	assert_true(out_buffer_room(&rig->side[SIDE_CLIENT].out) < OUT_BUFFER_BLOCK ||
		    rig->pipes.lent == 1 || rig->side[SIDE_CLIENT].end.backed_up);
	/* The other direction does not care. */
	assert_int_equal(peer_write(relay_rig_from(rig, FLOW_TO_ORIGIN), "hello", 5), 5);
	relay_rig_until(rig, FLOW_TO_ORIGIN, RELAY_WAIT_SOURCE);
	peer_expect(relay_rig_to(rig, FLOW_TO_ORIGIN), "hello", 5);
	relay_rig_run(rig, streams);
	free(stream.bytes);
}

static void test_back_pressure(void **state)
{
	(void)state;
	each_relay(true, false, case_back_pressure);
}

/* --- the end --- */

/* One direction ends with a FIN, behind its data; the other goes on and ends in its turn. */
static void half_close(struct relay_rig *rig, enum conn_flow first)
{
	enum conn_flow second = first == FLOW_TO_ORIGIN ? FLOW_TO_CLIENT : FLOW_TO_ORIGIN;
	struct stream stream, *streams[FLOWS] = {NULL, NULL};

	assert_int_equal(peer_write(relay_rig_from(rig, first), "last", 4), 4);
	shutdown(relay_rig_from(rig, first)->fd, SHUT_WR);
	relay_rig_until(rig, first, RELAY_FINISHED);
	assert_int_equal(rig->flow[first].phase, RELAY_DONE);
	assert_int_equal(rig->flow[first].closing, END_FIN);
	peer_expect(relay_rig_to(rig, first), "last", 4);
	expect_fin(relay_rig_to(rig, first));
	stream_open(&stream, 200000, 30000);
	streams[second] = &stream;
	relay_rig_run(rig, streams);
	shutdown(relay_rig_from(rig, second)->fd, SHUT_WR);
	relay_rig_until(rig, second, RELAY_FINISHED);
	expect_fin(relay_rig_to(rig, second));
	assert_int_equal(relay_rig_pump(rig, first), RELAY_FINISHED);
	free(stream.bytes);
}

static void case_client_ends_first(struct relay_rig *rig)
{
	half_close(rig, FLOW_TO_ORIGIN);
}

static void case_origin_ends_first(struct relay_rig *rig)
{
	half_close(rig, FLOW_TO_CLIENT);
}

static void test_half_close(void **state)
{
	(void)state;
	each_relay(false, false, case_client_ends_first);
	each_relay(false, false, case_origin_ends_first);
}

/* close_notify is close_notify on the other side, a FIN behind it is a FIN, and neither is
 * invented. */
static void case_close_notify(struct relay_rig *rig)
{
	struct peer *from = relay_rig_from(rig, FLOW_TO_CLIENT);
	struct peer *to = relay_rig_to(rig, FLOW_TO_CLIENT);
	struct stream stream, *streams[FLOWS] = {&stream, NULL};
	int alert;

	if (is_raw(rig))
		return;
	assert_int_equal(peer_write(from, "last", 4), 4);
	assert_int_equal(SSL_shutdown(from->ssl), 0);
	relay_rig_until(rig, FLOW_TO_CLIENT, RELAY_FINISHED);
	assert_int_equal(rig->flow[FLOW_TO_CLIENT].phase, RELAY_HALF);
	peer_expect(to, "last", 4);
	assert_int_equal(next_event(to, &alert), PEER_CLOSE_NOTIFY);
	stream_open(&stream, 100000, 30000);
	relay_rig_run(rig, streams);
	free(stream.bytes);
	assert_int_equal(recv(to->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	shutdown(from->fd, SHUT_WR);
	relay_rig_until_phase(rig, FLOW_TO_CLIENT, RELAY_DONE);
	expect_fin(to);
}

static void test_close_notify(void **state)
{
	(void)state;
	each_relay(false, false, case_close_notify);
}

static void case_alert(struct relay_rig *rig)
{
	struct peer *from = relay_rig_from(rig, FLOW_TO_ORIGIN);
	struct relay_flow *flow = &rig->flow[FLOW_TO_ORIGIN];
	struct peer *to = relay_rig_to(rig, FLOW_TO_ORIGIN);
	int alert = -1;

	if (is_raw(rig))
		return;
	assert_int_equal(peer_write(from, "last", 4), 4);
	peer_send_sealed(from, TLS_CT_ALERT, (const uint8_t[]){2, SSL_AD_ACCESS_DENIED}, 2);
	relay_rig_until(rig, FLOW_TO_ORIGIN, RELAY_FAILED);
	assert_int_equal(flow->closing, END_ALERT);
	assert_int_equal(relay_end_send_alert(flow->dst, flow->alert[0], flow->alert[1]), 0);
	peer_expect(to, "last", 4);
	assert_int_equal(next_event(to, &alert), PEER_ALERT);
	assert_int_equal(alert, SSL_AD_ACCESS_DENIED);
}

static void test_alert(void **state)
{
	(void)state;
	each_relay(false, false, case_alert);
}

static void case_bad_record(struct relay_rig *rig)
{
	struct peer *from = relay_rig_from(rig, FLOW_TO_CLIENT);
	uint8_t record[512];
	size_t len;

	if (is_raw(rig))
		return;
	assert_int_equal(peer_write(from, "good", 4), 4);
	len = peer_seal(from, TLS_CT_DATA, "tampered with", 13, record);
	record[len - 1] ^= 0x40;
	peer_send_bytes(from, record, len);
	relay_rig_until(rig, FLOW_TO_CLIENT, RELAY_FAILED);
	assert_int_equal(rig->flow[FLOW_TO_CLIENT].closing, END_BAD_RECORD);
	peer_expect(relay_rig_to(rig, FLOW_TO_CLIENT), "good", 4);
}

static void test_bad_record(void **state)
{
	(void)state;
	each_relay(false, false, case_bad_record);
}

/* Empty records in the middle of splicing: no end, no spin, and what follows arrives. */
static void case_empty_records(struct relay_rig *rig)
{
	struct peer *from = relay_rig_from(rig, FLOW_TO_CLIENT);

	if (is_raw(rig))
		return;
	assert_int_equal(peer_write(from, "one", 3), 3);
	for (int i = 0; i < 5; i++) {
		peer_send_sealed(from, TLS_CT_DATA, "", 0);
		peer_send_sealed(from, TLS_CT_DATA, "two", 3);
	}
	peer_send_sealed(from, TLS_CT_DATA, "", 0);
	for (int idle = 0; rig->info[FLOW_TO_CLIENT].bytes < 18; relay_rig_rest(&idle, false))
		assert_true(result_is_good(relay_rig_pump(rig, FLOW_TO_CLIENT)));
	peer_expect(relay_rig_to(rig, FLOW_TO_CLIENT), "onetwotwotwotwotwo", 18);
	relay_rig_until(rig, FLOW_TO_CLIENT, RELAY_WAIT_SOURCE);
}

static void test_empty_records(void **state)
{
	(void)state;
	each_relay(false, false, case_empty_records);
}

static void case_reset(struct relay_rig *rig)
{
	peer_reset(relay_rig_from(rig, FLOW_TO_ORIGIN));
	relay_rig_until(rig, FLOW_TO_ORIGIN, RELAY_FAILED);
	assert_int_equal(rig->flow[FLOW_TO_ORIGIN].closing, END_RESET);
}

/* The sink is gone: its own error, not the source's. */
static void case_sink_gone(struct relay_rig *rig)
{
	enum relay_result result = RELAY_MORE;

	peer_reset(relay_rig_to(rig, FLOW_TO_ORIGIN));
	for (int idle = 0; result_is_good(result); relay_rig_rest(&idle, false)) {
		peer_write(relay_rig_from(rig, FLOW_TO_ORIGIN), "more", 4);
		result = relay_rig_pump(rig, FLOW_TO_ORIGIN);
	}
	assert_int_equal(result, RELAY_SINK_GONE);
	assert_int_not_equal(rig->side[SIDE_UPSTREAM].end.write_errno, 0);
}

static void test_reset(void **state)
{
	(void)state;
	each_relay(false, false, case_reset);
	each_relay(false, false, case_sink_gone);
}

/* Key updates under way, from both sides, while bytes go both ways. */
static void case_key_updates(struct relay_rig *rig)
{
	bool can = !is_raw(rig);
	struct stream to_origin, to_client;
	struct stream *streams[FLOWS] = {&to_origin, &to_client};

	for (int i = 0; i < SIDES; i++) {
		const struct end_options *options = &rig->side[i].options;

		can = can && (lab.support.rekey || !(options->rx_kernel || options->tx_kernel)) &&
		      (options->rx_kernel || !options->tx_kernel);
	}
	if (!can)
		return;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < SIDES; i++)
			if (rig->side[i].options.suite->version == 0x0304)
				assert_int_equal(SSL_key_update(rig->side[i].peer.ssl,
								SSL_KEY_UPDATE_REQUESTED),
						 1);
		stream_open(&to_origin, 100000, 20000);
		stream_open(&to_client, 100000, 20000);
		relay_rig_run(rig, streams);
		free(to_origin.bytes);
		free(to_client.bytes);
	}
	for (int i = 0; i < SIDES; i++)
		if (rig->side[i].options.suite->version == 0x0304)
			assert_int_equal(rig->side[i].peer.track.key_updates, 3);
}

static void test_key_updates(void **state)
{
	(void)state;
	each_relay(false, false, case_key_updates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),     cmocka_unit_test(test_small_writes),
		cmocka_unit_test(test_narrow),        cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_auto),          cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_half_close),    cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_alert),         cmocka_unit_test(test_bad_record),
		cmocka_unit_test(test_empty_records), cmocka_unit_test(test_reset),
		cmocka_unit_test(test_key_updates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
