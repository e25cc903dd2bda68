// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cert_maker.h"
#include "pki/cert_facts.h"

static struct cert_facts facts_of(struct cert_spec spec, const char *key)
{
	struct cert_facts facts;
	X509 *cert;

	spec.key = make_test_key(key);
	cert = make_test_cert(&spec);
	cert_facts_read(cert, &facts);
	X509_free(cert);
	EVP_PKEY_free(spec.key);
	return facts;
}

static void test_names(void **state)
{
	static const struct cert_ext names[] = {
		{NID_subject_alt_name, "IP:127.0.0.1,DNS:first.test,DNS:second.test"}, {0}};
	static const struct cert_ext address[] = {{NID_subject_alt_name, "IP:127.0.0.1"}, {0}};
	struct cert_facts facts;

	(void)state;
	facts = facts_of((struct cert_spec){.cn = "common.test", .exts = names}, "P-256");
	assert_string_equal(facts.name, "common.test");
	assert_int_equal(facts.names, 3);
	facts = facts_of((struct cert_spec){.exts = names}, "P-256");
	assert_string_equal(facts.name, "first.test");
	facts = facts_of((struct cert_spec){.exts = address}, "P-256");
	assert_string_equal(facts.name, "");
	assert_int_equal(facts.names, 1);
	facts = facts_of((struct cert_spec){.cn = "M\xc3\xbcnchen"}, "P-256");
	assert_string_equal(facts.name, "M\xc3\xbcnchen");
	assert_int_equal(facts.names, 0);
}

static void test_long_name_is_cut(void **state)
{
	char text[400] = "DNS:";
	const struct cert_ext names[] = {{NID_subject_alt_name, text}, {0}};
	struct cert_facts facts;

	(void)state;
	memset(text + 4, 'a', sizeof(text) - 5);
	facts = facts_of((struct cert_spec){.exts = names}, "P-256");
	assert_int_equal(strlen(facts.name), sizeof(facts.name) - 1);
}

static void test_keys(void **state)
{
	static const struct {
		const char *made, *told;
	} rows[] = {{"P-256", "P-256"},
		    {"P-384", "P-384"},
		    {"secp256k1", "secp256k1"},
		    {"RSA-1024", "RSA-1024"},
		    {"Ed25519", "ED25519"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(facts_of((struct cert_spec){.cn = "x"}, rows[i].made).key,
				    rows[i].told);
}

static void test_validity(void **state)
{
	const int64_t now = time(NULL);
	struct cert_facts facts = facts_of(
		(struct cert_spec){.cn = "x", .from = -2 * DAY, .until = 3 * DAY}, "P-256");

	(void)state;
	assert_in_range(facts.from_s, now - 2 * DAY, now - 2 * DAY + 60);
	assert_in_range(facts.until_s, now + 3 * DAY, now + 3 * DAY + 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_validity),
	};

	return cmocka_run_group_tests_name("cert_facts", tests, NULL, NULL);
}
