// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/side_policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The struct owns its strings elsewhere. */
#define TEXT(text_) ((char *)(uintptr_t)(text_))

static SSL_CTX *apply(const struct tls_policy *policy)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const char *what;

	assert_non_null(ctx);
	assert_int_equal(tls_policy_apply(ctx, policy, &what), 0);
	return ctx;
}

static const char *suite(const SSL_CTX *ctx, int index)
{
	return SSL_CIPHER_get_name(sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(ctx), index));
}

static int find(const SSL_CTX *ctx, const char *name)
{
	for (int i = 0; i < sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(ctx)); i++)
		if (!strcmp(suite(ctx, i), name))
			return i;
	return -1;
}

/* Nothing that the system allows is lost, and nothing comes that it does not. */
static void test_default_is_the_systems_in_another_order(void **state)
{
	SSL_CTX *system = SSL_CTX_new(TLS_method()), *ctx = apply(NULL);
	int n = sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(system));

	(void)state;
	assert_int_equal(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(ctx)), n);
	for (int i = 0; i < n; i++)
		assert_true(find(ctx, suite(system, i)) >= 0);
	assert_string_equal(suite(ctx, 0), "TLS_AES_128_GCM_SHA256");
	assert_true(find(ctx, "ECDHE-RSA-AES128-GCM-SHA256") <
		    find(ctx, "ECDHE-ECDSA-AES256-GCM-SHA384"));
	assert_true(find(ctx, "ECDHE-ECDSA-AES256-GCM-SHA384") <
		    find(ctx, "ECDHE-RSA-CHACHA20-POLY1305"));
	assert_true(find(ctx, "ECDHE-RSA-CHACHA20-POLY1305") < find(ctx, "AES128-SHA"));
	assert_true(SSL_CTX_get_min_proto_version(ctx) >= TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_get_security_level(ctx), SSL_CTX_get_security_level(system));
	SSL_CTX_free(system);
	SSL_CTX_free(ctx);
}

/* A system that has narrowed its own policy is obeyed. */
static void test_a_narrow_system_stays_narrow(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const char *what;

	(void)state;
	/* As config(5) would have done it in SSL_CTX_new. */
	assert_true(SSL_CTX_set_cipher_list(ctx, "ECDHE-RSA-AES256-GCM-SHA384"));
	assert_true(SSL_CTX_set_ciphersuites(ctx, "TLS_CHACHA20_POLY1305_SHA256"));
	assert_true(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION));
	assert_int_equal(tls_policy_apply(ctx, NULL, &what), 0);
	assert_int_equal(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(ctx)), 2);
	assert_int_equal(SSL_CTX_get_min_proto_version(ctx), TLS1_3_VERSION);
	SSL_CTX_free(ctx);
}

static void test_what_is_set_holds(void **state)
{
	struct tls_policy policy = {.min_version = TLS1_2_VERSION,
				    .max_version = TLS1_2_VERSION,
				    .ciphers = TEXT("ECDHE-RSA-AES128-GCM-SHA256"),
				    .groups = TEXT("P-384"),
				    .signature_algorithms = TEXT("ECDSA+SHA256"),
				    .has_security_level = true,
				    .security_level = 3};
	SSL_CTX *ctx = apply(&policy);

	(void)state;
	assert_int_equal(SSL_CTX_get_max_proto_version(ctx), TLS1_2_VERSION);
	assert_true(find(ctx, "ECDHE-RSA-AES128-GCM-SHA256") >= 0);
	assert_int_equal(find(ctx, "AES128-SHA"), -1);
	assert_int_equal(SSL_CTX_get_security_level(ctx), 3);
	SSL_CTX_free(ctx);
}

static void test_what_openssl_does_not_know_is_named(void **state)
{
	const struct {
		struct tls_policy policy;
		const char *what;
	} cases[] = {
		{{.ciphers = TEXT("none-such")}, "ciphers"},
		{{.ciphersuites = TEXT("TLS_NONE")}, "ciphersuites"},
		{{.groups = TEXT("P-12")}, "groups"},
		{{.signature_algorithms = TEXT("X+Y")}, "signature_algorithms"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_method());
		const char *what = "";

		assert_int_equal(tls_policy_apply(ctx, &cases[i].policy, &what), -EINVAL);
		assert_string_equal(what, cases[i].what);
		SSL_CTX_free(ctx);
	}
}

static void test_what_is_left_out_is_the_others(void **state)
{
	struct tls_policy base = {.min_version = TLS1_3_VERSION,
				  .groups = TEXT("P-256"),
				  .has_security_level = true,
				  .security_level = 1,
				  .has_old_versions = true,
				  .refuse_old_versions = true};
	struct tls_policy own = {.min_version = TLS1_2_VERSION, .has_old_versions = true};
	struct tls_policy merged = tls_policy_merge(&own, &base);

	(void)state;
	assert_int_equal(merged.min_version, TLS1_2_VERSION);
	assert_string_equal(merged.groups, "P-256");
	assert_int_equal(merged.security_level, 1);
	assert_false(merged.refuse_old_versions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_the_systems_in_another_order),
		cmocka_unit_test(test_a_narrow_system_stays_narrow),
		cmocka_unit_test(test_what_is_set_holds),
		cmocka_unit_test(test_what_openssl_does_not_know_is_named),
		cmocka_unit_test(test_what_is_left_out_is_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
