// SPDX-License-Identifier: GPL-2.0-or-later
/* One table of nftables, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "capture/nft_table.h"
#include "nft_rig.h"

static struct nft_table *make(void)
{
	struct nft_table *table;

	assert_int_equal(nft_table_new(RIG_TABLE, &table), 0);
	return table;
}

static void test_names_that_rules_cannot_hide_in(void **state)
{
	static const char *const bad[] = {"",       "1a",   "a b", "a;b", "a\nb", "a{",
					  "../etc", "a\"b", "-a",  "_a",  "a\tb", "k\xc3\xa4"};
	char too_long[100];
	struct nft_table *table;

	(void)state;
	memset(too_long, 'a', sizeof(too_long));
	too_long[65] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(nft_table_new(bad[i], &table), -EINVAL);
	assert_int_equal(nft_table_new(too_long, &table), -EINVAL);
	too_long[64] = '\0';
	assert_int_equal(nft_table_new(too_long, &table), 0);
	nft_table_free(table);
	nft_table_free(NULL);
}

static void test_load_replace_remove(void **state)
{
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	bool owner = false;

	(void)state;
	assert_int_equal(nft_table_load(table, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	assert_true(rig_has("redirect to :8443"));
	assert_int_equal(rig_has("flags owner"), owner);
	assert_int_equal(nft_table_load(table, RIG_OWNED("9443"), RIG_PLAIN("9443"), &owner, error,
					sizeof(error)),
			 0);
	assert_true(rig_has("redirect to :9443"));
	assert_false(rig_has("redirect to :8443"));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	assert_false(rig_has(RIG_TABLE));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	nft_table_free(table);
}

/* What is refused leaves what was there, and the error has the kernel's or the parser's words. */
static void test_bad_text_changes_nothing(void **state)
{
	static const char nonsense[] = "table inet " RIG_TABLE " {\n\tno such thing\n}\n";
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	char *before, *after;
	bool owner;

	(void)state;
	assert_int_equal(nft_table_load(table, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	before = rig_ruleset();
	assert_int_equal(nft_table_load(table, nonsense, nonsense, &owner, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "syntax error"));
	assert_null(strchr(error, '\n'));
	after = rig_ruleset();
	assert_string_equal(before, after);
	free(before);
	free(after);
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	nft_table_free(table);
}

/* The kernel takes an owner's table away with its socket. */
static void test_owned_table_goes_with_its_socket(void **state)
{
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	bool owner;

	(void)state;
	assert_int_equal(nft_table_load(table, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	nft_table_free(table);
	assert_int_equal(rig_has(RIG_TABLE), !owner);
	if (!owner)
		rig_run("delete table inet " RIG_TABLE "\n");
}

/* A library or kernel without the flag refuses the first text; then the second counts. */
static void test_without_the_flag(void **state)
{
	static const char unknown_flag[] =
		"table inet " RIG_TABLE " {\n\tflags owner_of_the_future\n}\n";
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	bool owner = true;

	(void)state;
	assert_int_equal(nft_table_load(table, unknown_flag, RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	assert_false(owner);
	assert_true(rig_has("redirect to :8443"));
	assert_int_equal(nft_table_load(table, unknown_flag, RIG_PLAIN("9443"), &owner, error,
					sizeof(error)),
			 0);
	assert_true(rig_has("redirect to :9443"));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	assert_false(rig_has(RIG_TABLE));
	nft_table_free(table);
}

static void test_leftover_is_replaced_and_removed(void **state)
{
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	bool owner;

	(void)state;
	rig_run(RIG_PLAIN("7443"));
	assert_int_equal(nft_table_load(table, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	assert_false(rig_has(":7443"));
	assert_true(rig_has(":8443"));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	rig_run(RIG_PLAIN("7443"));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	assert_false(rig_has(RIG_TABLE));
	nft_table_free(table);
}

/* Somebody's table that happens to have our name: neither replaced nor removed. */
static void test_table_of_somebody_stays(void **state)
{
	struct nft_table *table = make();
	char error[NFT_TABLE_ERROR] = "";
	char *before, *after;
	bool owner;

	(void)state;
	/* The comment of a chain or a rule is not the table's. */
	rig_run("table inet " RIG_TABLE " {\n\tchain mine {\n\t\tcomment \"" NFT_TABLE_COMMENT
		"\"\n"
		"\t\ttcp dport 22 accept comment \"" NFT_TABLE_COMMENT "\"\n\t}\n}\n"
		"table ip other {\n\tchain c {\n\t}\n}\n");
	before = rig_ruleset();
	assert_int_equal(nft_table_load(table, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 -EEXIST);
	assert_non_null(strstr(error, "capture.table"));
	assert_int_equal(nft_table_remove(table, error, sizeof(error)), 0);
	after = rig_ruleset();
	assert_string_equal(before, after);
	free(before);
	free(after);
	nft_table_free(table);
	rig_run("flush ruleset\n");
}

static void test_table_of_another_owner_stays(void **state)
{
	struct nft_table *first = make(), *second = make();
	char error[NFT_TABLE_ERROR] = "";
	bool owner;

	(void)state;
	assert_int_equal(nft_table_load(first, RIG_OWNED("8443"), RIG_PLAIN("8443"), &owner, error,
					sizeof(error)),
			 0);
	if (owner) {
		assert_int_equal(nft_table_load(second, RIG_OWNED("9443"), RIG_PLAIN("9443"),
						&owner, error, sizeof(error)),
				 -EEXIST);
		assert_int_equal(nft_table_remove(second, error, sizeof(error)), 0);
		assert_true(rig_has(":8443"));
	}
	assert_int_equal(nft_table_remove(first, error, sizeof(error)), 0);
	nft_table_free(first);
	nft_table_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_rules_cannot_hide_in),
		cmocka_unit_test(test_load_replace_remove),
		cmocka_unit_test(test_bad_text_changes_nothing),
		cmocka_unit_test(test_owned_table_goes_with_its_socket),
		cmocka_unit_test(test_without_the_flag),
		cmocka_unit_test(test_leftover_is_replaced_and_removed),
		cmocka_unit_test(test_table_of_somebody_stays),
		cmocka_unit_test(test_table_of_another_owner_stays),
	};
	const struct CMUnitTest without_rules[] = {
		cmocka_unit_test(test_names_that_rules_cannot_hide_in),
	};

	if (!rig_enter())
		return cmocka_run_group_tests(without_rules, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
