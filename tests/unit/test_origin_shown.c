// SPDX-License-Identifier: GPL-2.0-or-later
/* How a leaf shows an origin's faults: the table of docs/upstream.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ksplit/origin_fault.h>

#include "core/origin_shown.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What each says of the leaf, by a client that can do RSA and by one that cannot. */
static const struct {
	uint32_t fault;
	bool twin, twin_without_rsa, other_names, weak;
} table[] = {
	{.fault = ORIGIN_UNTRUSTED, .twin = true, .twin_without_rsa = true},
	{.fault = ORIGIN_SELF_SIGNED, .twin = true, .twin_without_rsa = true},
	{.fault = ORIGIN_EXPIRED},
	{.fault = ORIGIN_NOT_YET_VALID},
	{.fault = ORIGIN_CHAIN_TIME},
	{.fault = ORIGIN_NAME, .other_names = true},
	{.fault = ORIGIN_PURPOSE},
	{.fault = ORIGIN_REVOKED, .twin = true, .twin_without_rsa = true}, /* without a staple */
	{.fault = ORIGIN_WEAK_KEY, .twin_without_rsa = true, .weak = true},
	{.fault = ORIGIN_WEAK_SIGNATURE, .twin = true, .twin_without_rsa = true},
	{.fault = ORIGIN_PIN, .twin = true, .twin_without_rsa = true},
};

_Static_assert(LEN(table) == KSPLIT_ORIGIN_FAULT_COUNT, "all of them");

/* A wish with the opposite of what is to come in it. */
static struct leaf_wish shown(uint32_t faults, enum conn_verify verify, bool rsa, bool twin)
{
	struct leaf_wish wish = {.sni = "origin.test",
				 .key = LEAF_KEY_EC,
				 .untrusted = !twin,
				 .hide = verify != CONN_VERIFY_OFF};

	origin_shown(faults, verify, rsa, &wish);
	assert_string_equal(wish.sni, "origin.test");
	assert_null(wish.origin);
	assert_null(wish.origin_fp);
	return wish;
}

/* A client that asks for a staple sees it, whatever else there is but what wants the twin. */
static void revoked_by_a_staple(void **state)
{
	static const struct revocation revocation = {.at = 1000, .reason = 1};
	const uint32_t end = 1U << KSPLIT_ORIGIN_FAULT_COUNT;

	(void)state;
	for (uint32_t faults = 0; faults < 2 * end; faults++) {
		struct leaf_wish wish = {.revocation = &revocation};
		bool rsa = faults >= end, twin = false;

		for (size_t i = 0; i < LEN(table); i++)
			if (faults & table[i].fault & ~ORIGIN_REVOKED)
				twin |= rsa ? table[i].twin : table[i].twin_without_rsa;
		origin_shown(faults % end, CONN_VERIFY_MIMIC, rsa, &wish);
		assert_int_equal(wish.untrusted, twin);
		assert_ptr_equal(wish.revocation,
				 faults & ORIGIN_REVOKED && !twin ? &revocation : NULL);
	}
}

static void a_good_origin(void **state)
{
	struct leaf_wish wish = shown(0, CONN_VERIFY_MIMIC, true, false);

	(void)state;
	assert_false(wish.untrusted);
	assert_false(wish.hide);
	assert_true(wish.add_sni);
	assert_int_equal(wish.key, LEAF_KEY_EC);
	assert_true(shown(0, CONN_VERIFY_OFF, true, false).hide);
	assert_false(shown(0, CONN_VERIFY_REQUIRE, true, false).hide);
	assert_false(shown(0, CONN_VERIFY_NONE, true, false).hide);
}

static void each_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(table); i++)
		for (int rsa = 0; rsa < 2; rsa++) {
			bool twin = rsa ? table[i].twin : table[i].twin_without_rsa;
			struct leaf_wish wish = shown(table[i].fault, CONN_VERIFY_MIMIC, rsa, twin);
			enum leaf_key_kind key =
				table[i].weak && rsa ? LEAF_KEY_WEAK_RSA : LEAF_KEY_EC;

			if (wish.untrusted != twin || wish.hide || wish.key != key ||
			    wish.add_sni == table[i].other_names)
				fail_msg("%s, RSA %d: untrusted %d, hide %d, add_sni %d, key %d",
					 ksplit_origin_fault_name((unsigned int)i), rsa,
					 wish.untrusted, wish.hide, wish.add_sni, wish.key);
		}
}

/* No fault takes anything back that another one says. */
static void all_together(void **state)
{
	const uint32_t end = 1U << KSPLIT_ORIGIN_FAULT_COUNT;

	(void)state;
	for (uint32_t faults = 0; faults < 2 * end; faults++) {
		bool rsa = faults >= end, twin = false, other_names = false, weak = false;
		struct leaf_wish wish;

		for (size_t i = 0; i < LEN(table); i++)
			if (faults & table[i].fault) {
				twin |= rsa ? table[i].twin : table[i].twin_without_rsa;
				other_names |= table[i].other_names;
				weak |= table[i].weak && rsa;
			}
		wish = shown(faults % end, CONN_VERIFY_MIMIC, rsa, twin);
		assert_int_equal(wish.untrusted, twin);
		assert_int_equal(wish.add_sni, !other_names);
		assert_int_equal(wish.key, weak ? LEAF_KEY_WEAK_RSA : LEAF_KEY_EC);
		assert_false(wish.hide);
	}
}

/* A client that cannot do EC has an RSA leaf: it stays one. */
static void the_key_is_the_clients(void **state)
{
	struct leaf_wish wish = {.key = LEAF_KEY_RSA};

	(void)state;
	origin_shown(ORIGIN_EXPIRED | ORIGIN_UNTRUSTED, CONN_VERIFY_MIMIC, true, &wish);
	assert_int_equal(wish.key, LEAF_KEY_RSA);
	origin_shown(ORIGIN_WEAK_KEY, CONN_VERIFY_MIMIC, true, &wish);
	assert_int_equal(wish.key, LEAF_KEY_WEAK_RSA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_origin),          cmocka_unit_test(each_fault),
		cmocka_unit_test(all_together),           cmocka_unit_test(revoked_by_a_staple),
		cmocka_unit_test(the_key_is_the_clients),
	};

	return cmocka_run_group_tests_name("origin_shown", tests, NULL, NULL);
}
