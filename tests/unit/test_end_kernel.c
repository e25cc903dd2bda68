// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "emulated.h"
#include "end_cases.h"

/*
 * The cases of end_cases.h with one direction in the kernel, with the other, and with both. A
 * kernel without TLS gets the other branch: what it refuses leaves an end that works in user space.
 */
static const struct placement placements[] = {{true, true}, {true, false}, {false, true}};

#define PLACEMENTS (sizeof(placements) / sizeof(placements[0]))

static struct lab lab;

static int setup(void **state)
{
	(void)state;
	lab_open(&lab);
	if (!lab.support.ulp)
		printf("kernel ends: the branch without kernel TLS\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

/*
 * Without kernel TLS: a daemon that tries nevertheless is told so, nothing of the session is lost
 * or locked, and it then does what the case wants in user space.
 */
static void refused(end_case run, uint64_t record_limit)
{
	struct ktls_support claimed = {.ulp = true};

	memset(claimed.tx, true, sizeof(claimed.tx));
	memset(claimed.rx, true, sizeof(claimed.rx));
	for (size_t i = 0; i < 2 * TLS_SUITES; i++) {
		const struct end_options options = {
			.suite = &tls_suites[i / 2],
			.is_client_side = i % 2,
			.record_limit = record_limit,
		};
		struct end_rig rig;

		rig_open(&rig, &lab, &options);
		assert_int_equal(ktls_install_ulp(rig.fd), -ENOENT);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_TX, &lab.support),
				 KSPLIT_KTLS_CIPHER);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_TX, &claimed),
				 KSPLIT_KTLS_TX_REFUSED);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_RX, &claimed),
				 KSPLIT_KTLS_RX_REFUSED);
		assert_ptr_equal(rig.end.rx, &relay_rx_user);
		run(&rig);
		rig_close(&rig);
	}
}

static void in_each_placement(end_case run, uint64_t record_limit)
{
	if (!lab.support.ulp) {
		refused(run, record_limit);
		return;
	}
	/* In steps of three: both versions, both sides. */
	for (size_t i = 0; i < PLACEMENTS; i++)
		assert_true(each_end(&lab, placements[i], record_limit,
				     i || is_emulated() ? 3 : 1, run) > 0);
}

#define KERNEL_TEST(name)                                                                          \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		in_each_placement(case_##name, 0);                                                 \
	}

KERNEL_TEST(data)
KERNEL_TEST(close_notify)
KERNEL_TEST(send_close_notify)
KERNEL_TEST(fin)
KERNEL_TEST(fin_in_record)
KERNEL_TEST(reset)
KERNEL_TEST(alert)
KERNEL_TEST(send_alert)
KERNEL_TEST(send_alert_at_once)
KERNEL_TEST(bad_record)
KERNEL_TEST(bogus_header)
KERNEL_TEST(unexpected)
KERNEL_TEST(certificate_request)
KERNEL_TEST(unknown_type)
KERNEL_TEST(empty_records)
KERNEL_TEST(warning)
KERNEL_TEST(renegotiation)
KERNEL_TEST(key_update)
KERNEL_TEST(key_update_requested)
KERNEL_TEST(many_key_updates)
KERNEL_TEST(alert_after_key_update)

static void test_record_limit(void **state)
{
	(void)state;
	in_each_placement(case_record_limit, LOW_LIMIT);
}

/* The kernel has all that it promised: every version and cipher that the probe named, in each role.
 */
static void test_every_suite(void **state)
{
	int expected = 0;

	(void)state;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		int row = tls_suites[i].version - 0x0303;

		expected += 2 * (lab.support.tx[row][tls_suites[i].aead] &&
				 lab.support.rx[row][tls_suites[i].aead]);
	}
	assert_int_equal(each_end(&lab, placements[0], 0, 1, case_data), expected);
	printf("%d of %d combinations in the kernel\n", expected, (int)(2 * TLS_SUITES));
	assert_int_equal(expected > 0, lab.support.ulp);
}

/* Tickets that an origin sends after the handshake are consumed and counted. */
static void test_tickets(void **state)
{
	(void)state;
	for (size_t i = 3; i < TLS_SUITES; i++) {
		const struct end_options options = {
			.suite = &tls_suites[i], .rx_kernel = true, .tx_kernel = true};
		uint64_t before = lab_count(&lab, STAT_TICKETS_SWALLOWED);
		struct end_rig rig;

		if (!rig_possible(&lab, &options))
			continue;
		rig_open(&rig, &lab, &options);
		assert_int_equal(peer_write(&rig.peer, "data", 4), 4);
		rig_expect(&rig, "data", 4);
		assert_int_equal(lab_count(&lab, STAT_TICKETS_SWALLOWED), before + 2);
		rig_close(&rig);
	}
}

/* One ticket over several records, with nothing but small ones in between: still no event. */
static void case_large_ticket(struct end_rig *rig)
{
	uint64_t before = lab_count(&lab, STAT_TICKETS_SWALLOWED);
	static uint8_t piece[250];
	const uint8_t header[] = {4, 0, 0x61, 0xa8}; /* 25,000 bytes */

	/* OpenSSL would look into it. */
	if (!is_tls13(rig) || rig->options.is_client_side || !rig->options.rx_kernel)
		return;
	peer_send_sealed(&rig->peer, TLS_CT_HANDSHAKE, header, sizeof(header));
	for (int i = 0; i < 100; i++)
		peer_send_sealed(&rig->peer, TLS_CT_HANDSHAKE, piece, sizeof(piece));
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "data", 4);
	rig_expect(rig, "data", 4);
	/* two more came with the handshake */
	assert_int_equal(lab_count(&lab, STAT_TICKETS_SWALLOWED), before + 3);
}

/* Nobody reads: kernel TLS takes what TCP has no room for, so that a FIN has to wait for it. */
static void case_settled(struct end_rig *rig)
{
	static uint8_t bytes[16384], got[16384];
	size_t written = 0, received = 0, len;
	int looks = 0, alert, err;

	assert_true(relay_end_settled(&rig->end));
	fill_random(bytes, sizeof(bytes));
	while ((err = relay_end_flush(&rig->end)) == 0) {
		assert_int_equal(relay_end_write(&rig->end, bytes, sizeof(bytes)), 0);
		written += sizeof(bytes);
		assert_true(written < 64 << 20);
	}
	assert_int_equal(err, -EAGAIN);
	for (int i = 0; i < 5; i++) {
		assert_false(relay_end_settled(&rig->end));
		poll(NULL, 0, 2);
	}
	while (received < written) {
		size_t want = sizeof(got) - received % sizeof(got);

		err = relay_end_flush(&rig->end);
		assert_true(err == 0 || err == -EAGAIN);
		switch (peer_read(&rig->peer, got, want, &len, &alert)) {
		case PEER_DATA:
			assert_memory_equal(got, bytes + received % sizeof(bytes), len);
			received += len;
			break;
		case PEER_AGAIN: poll(NULL, 0, 1); break;
		default: fail();
		}
	}
	while (!relay_end_settled(&rig->end)) {
		assert_true(++looks < PATIENCE_MS);
		poll(NULL, 0, 1);
	}
	assert_true(relay_end_settled(&rig->end));
	/* After which a FIN cuts nothing off. */
	shutdown(rig->fd, SHUT_WR);
	assert_int_equal(peer_await(&rig->peer, got, 1, &len, &alert), PEER_FIN);
}

/* A peer that resets the connection acknowledges nothing any more: that is not waited for. */
static void test_reset_has_settled(void **state)
{
	static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	static char bytes[16384];
	struct relay_end end = {.tx = &relay_tx_kernel, .backed_up = true};
	struct pollfd poll_fd = {.events = POLLIN};
	struct tcp_pair pair;

	(void)state;
	tcp_pair_open(&pair, TCP_PAIR_V4);
	while (send(pair.server, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	end.fd = pair.server;
	for (int i = 0; i < 5; i++)
		assert_false(relay_end_settled(&end));
	setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(pair.client);
	pair.client = -1;
	poll_fd.fd = pair.server;
	assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
	assert_true(relay_end_settled(&end));
	tcp_pair_close(&pair);
}

static void test_settled(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * TLS_SUITES; i++) {
		const struct end_options options = {
			.suite = &tls_suites[i / 2],
			.is_client_side = i % 2,
			.rx_kernel = lab.support.ulp,
			.tx_kernel = lab.support.ulp,
			.narrow = true,
		};
		struct end_rig rig;

		if (!rig_possible(&lab, &options))
			continue;
		rig_open(&rig, &lab, &options);
		case_settled(&rig);
		rig_close(&rig);
	}
}

/* After a close_notify the stream is void, broken records and all: no event but its end. */
static void case_drain_garbage(struct end_rig *rig)
{
	static const uint8_t garbage[300] = {23, 3, 3, 0, 100};
	enum end_event event = END_AGAIN;

	SSL_shutdown(rig->peer.ssl);
	assert_int_equal(rig_read_end(rig), END_CLOSE_NOTIFY);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "", 0);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "too late", 8);
	peer_send_bytes(&rig->peer, garbage, sizeof(garbage));
	shutdown(rig->peer.fd, SHUT_WR);
	for (int i = 0; i < 100 && event == END_AGAIN; i++) {
		wait_readable(rig->fd);
		event = relay_end_drain(&rig->end, lab.scratch, SCRATCH_LEN);
	}
	assert_int_equal(event, END_FIN);
}

KERNEL_TEST(large_ticket)
KERNEL_TEST(drain_garbage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_suite),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_send_close_notify),
		cmocka_unit_test(test_fin),
		cmocka_unit_test(test_fin_in_record),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_send_alert),
		cmocka_unit_test(test_send_alert_at_once),
		cmocka_unit_test(test_bad_record),
		cmocka_unit_test(test_bogus_header),
		cmocka_unit_test(test_unexpected),
		cmocka_unit_test(test_certificate_request),
		cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_empty_records),
		cmocka_unit_test(test_warning),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_key_update_requested),
		cmocka_unit_test(test_many_key_updates),
		cmocka_unit_test(test_alert_after_key_update),
		cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_large_ticket),
		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_reset_has_settled),
		cmocka_unit_test(test_drain_garbage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
