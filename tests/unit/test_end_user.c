// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "end_cases.h"

/* Both directions are OpenSSL's: what must be the same on every kernel. */
static const struct placement user = {false, false};

static struct lab lab;

static int setup(void **state)
{
	(void)state;
	lab_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

#define USER_TEST(name)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(each_end(&lab, user, 0, 1, case_##name), 2 * TLS_SUITES);         \
	}

USER_TEST(data)
USER_TEST(close_notify)
USER_TEST(send_close_notify)
USER_TEST(fin)
USER_TEST(fin_in_record)
USER_TEST(reset)
USER_TEST(alert)
USER_TEST(send_alert)
USER_TEST(send_alert_at_once)
USER_TEST(bad_record)
USER_TEST(bogus_header)
USER_TEST(unexpected)
USER_TEST(certificate_request)
USER_TEST(unknown_type)
USER_TEST(empty_records)
USER_TEST(warning)
USER_TEST(renegotiation)
USER_TEST(key_update)
USER_TEST(key_update_requested)
USER_TEST(many_key_updates)
USER_TEST(alert_after_key_update)

static void test_record_limit(void **state)
{
	(void)state;
	assert_int_equal(each_end(&lab, user, LOW_LIMIT, 1, case_record_limit), 2 * TLS_SUITES);
}

/* Data and the end behind it in one read: the data first, and nobody waits for the socket then. */
static void case_stash(struct end_rig *rig)
{
	uint8_t alert[2];
	size_t len = 0;

	assert_int_equal(peer_write(&rig->peer, "data", 4), 4);
	peer_send_sealed(&rig->peer, TLS_CT_ALERT, (const uint8_t[]){ALERT_FATAL, 80}, 2);
	wait_readable(rig->fd);
	assert_int_equal(relay_end_read(&rig->end, lab.scratch, SCRATCH_LEN, &len, alert),
			 END_DATA);
	assert_int_equal(len, 4);
	assert_true(relay_end_has_pending(&rig->end));
	assert_int_equal(relay_end_read(&rig->end, lab.scratch, SCRATCH_LEN, &len, alert),
			 END_ALERT);
	assert_int_equal(len, 0);
	assert_int_equal(alert[1], 80);
}

static void test_stash(void **state)
{
	(void)state;
	each_end(&lab, user, 0, 1, case_stash);
}

/* Room for one record only: what is left inside OpenSSL is told of. */
static void case_small_buffer(struct end_rig *rig)
{
	static uint8_t bytes[5 * 16384];
	uint8_t alert[2];
	size_t at = 0;

	fill_random(bytes, sizeof(bytes));
	assert_int_equal(peer_write(&rig->peer, bytes, sizeof(bytes)), sizeof(bytes));
	while (at < sizeof(bytes)) {
		size_t len = 0;

		if (!relay_end_has_pending(&rig->end))
			wait_readable(rig->fd);
		if (relay_end_read(&rig->end, lab.scratch, 16384, &len, alert) == END_AGAIN)
			continue;
		assert_memory_equal(lab.scratch, bytes + at, len);
		at += len;
	}
	assert_int_equal(at, sizeof(bytes));
}

static void test_small_buffer(void **state)
{
	(void)state;
	each_end(&lab, user, 0, 1, case_small_buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(test_stash),
		cmocka_unit_test(test_small_buffer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
