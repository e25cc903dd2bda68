// SPDX-License-Identifier: GPL-2.0-or-later
/* Names inside and outside of what a CA, and those above it, may sign for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cert_maker.h"
#include "pki/name_constraints.h"

#define CA_IS {NID_basic_constraints, "critical,CA:TRUE"}

static int make_key(void **state)
{
	*state = make_test_key("P-256");
	return 0;
}

static int free_key(void **state)
{
	EVP_PKEY_free(*state);
	return 0;
}

static X509 *make_ca(EVP_PKEY *key, const char *constraints)
{
	const struct cert_ext exts[] = {CA_IS, {NID_name_constraints, constraints}, {0}};
	const struct cert_ext none[] = {CA_IS, {0}};

	return make_test_cert(
		&(struct cert_spec){.cn = "CA", .key = key, .exts = constraints ? exts : none});
}

static struct name_constraints *read_of(EVP_PKEY *key, const char *own, const char *above)
{
	X509 *ca = make_ca(key, own), *root = make_ca(key, above);
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct name_constraints *constraints;

	sk_X509_push(chain, root);
	assert_int_equal(name_constraints_read(ca, chain, &constraints), 0);
	sk_X509_pop_free(chain, X509_free);
	X509_free(ca);
	return constraints;
}

/* What the check says of a leaf with this common name and these alternative names (NULL: none). */
static int check(EVP_PKEY *key, const struct name_constraints *constraints, const char *cn,
		 const char *names)
{
	const struct cert_ext exts[] = {{NID_subject_alt_name, names}, {0}};
	X509 *leaf = make_test_cert(
		&(struct cert_spec){.cn = cn, .key = key, .exts = names ? exts : NULL});
	int result = name_constraints_check(constraints, leaf);

	X509_free(leaf);
	return result;
}

static void none_is_nothing(void **state)
{
	struct name_constraints *constraints = read_of(*state, NULL, NULL);
	X509 *ca = make_ca(*state, NULL);

	assert_null(constraints);
	assert_int_equal(check(*state, NULL, "a.test", "DNS:a.test"), X509_V_OK);
	assert_int_equal(name_constraints_read(ca, NULL, &constraints), 0);
	assert_null(constraints);
	name_constraints_free(NULL);
	X509_free(ca);
}

static void every_name_must_be_permitted(void **state)
{
	static const struct {
		const char *cn, *names;
		int result;
	} cases[] = {
		{"any", "DNS:example.com", X509_V_OK},
		{"any", "DNS:a.b.example.com", X509_V_OK},
		{"any", "DNS:*.example.com", X509_V_OK},
		{"any", "DNS:A.EXAMPLE.com", X509_V_OK},
		{"other.test", "DNS:example.com", X509_V_OK}, /* nobody looks at this name */
		{"any", "DNS:notexample.com", X509_V_ERR_PERMITTED_VIOLATION},
		{"any", "DNS:example.com,DNS:other.test", X509_V_ERR_PERMITTED_VIOLATION},
		{"any", "DNS:other.test,DNS:example.com", X509_V_ERR_PERMITTED_VIOLATION},
		{"any", "DNS:bank.example.com", X509_V_ERR_EXCLUDED_VIOLATION},
		{"any", "DNS:example.com,IP:10.0.0.1", X509_V_ERR_EXCLUDED_VIOLATION},
		{"any", "DNS:example.com,IP:192.0.2.1", X509_V_OK},
		{"www.example.com", NULL, X509_V_OK},
		{"other.test", NULL, X509_V_ERR_PERMITTED_VIOLATION},
		{"other.test", "IP:192.0.2.1", X509_V_ERR_PERMITTED_VIOLATION},
	};
	struct name_constraints *constraints =
		read_of(*state,
			"critical,permitted;DNS:example.com,excluded;DNS:bank.example.com,"
			"excluded;IP:10.0.0.0/255.0.0.0",
			NULL);

	assert_non_null(constraints);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = check(*state, constraints, cases[i].cn, cases[i].names);

		if (result != cases[i].result)
			fail_msg("%s, %s: %s", cases[i].cn, cases[i].names ? cases[i].names : "-",
				 X509_verify_cert_error_string(result));
	}
	name_constraints_free(constraints);
}

static void those_above_count_too(void **state)
{
	struct name_constraints *constraints = read_of(*state, "permitted;DNS:example.com",
						       "excluded;DNS:bank.example.com");

	assert_int_equal(check(*state, constraints, "any", "DNS:a.example.com"), X509_V_OK);
	assert_int_equal(check(*state, constraints, "any", "DNS:a.test"),
			 X509_V_ERR_PERMITTED_VIOLATION);
	assert_int_equal(check(*state, constraints, "any", "DNS:bank.example.com"),
			 X509_V_ERR_EXCLUDED_VIOLATION);
	name_constraints_free(constraints);
	constraints = read_of(*state, NULL, "permitted;DNS:example.com");
	assert_int_equal(check(*state, constraints, "any", "DNS:a.test"),
			 X509_V_ERR_PERMITTED_VIOLATION);
	name_constraints_free(constraints);
}

static void unreadable_is_refused(void **state)
{
	const struct cert_ext exts[] = {CA_IS, {NID_name_constraints, "DER:3003020101"}, {0}};
	const struct cert_ext good[] = {CA_IS, {NID_name_constraints, "permitted;DNS:a"}, {0}};
	X509 *ca = make_test_cert(&(struct cert_spec){.cn = "CA", .key = *state, .exts = exts});
	struct name_constraints *constraints;

	assert_int_equal(name_constraints_read(ca, NULL, &constraints), -EINVAL);
	assert_null(constraints);
	X509_free(ca);
	ca = make_test_cert(&(struct cert_spec){.cn = "CA", .key = *state, .exts = good});
	add_test_ext(ca, ca, NID_name_constraints, "permitted;DNS:b");
	assert_int_equal(name_constraints_read(ca, NULL, &constraints), -EINVAL);
	assert_null(constraints);
	X509_free(ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_nothing),
		cmocka_unit_test(every_name_must_be_permitted),
		cmocka_unit_test(those_above_count_too),
		cmocka_unit_test(unreadable_is_refused),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
