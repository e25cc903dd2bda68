// SPDX-License-Identifier: GPL-2.0-or-later
/* What OpenSSL finds wrong with a certificate as faults, their alerts and their names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "cert_maker.h"
#include "tls/origin_faults.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct {
	EVP_PKEY *ca_key, *between_key, *key, *weak_key;
	X509 *ca;
} made;

static const struct cert_ext ca_exts[] = {{NID_basic_constraints, "critical,CA:TRUE"}, {0}};
static const struct cert_ext last_ca_exts[] = {
	{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}, {0}};
static const struct cert_ext no_ca_exts[] = {{NID_basic_constraints, "critical,CA:FALSE"}, {0}};
static const struct cert_ext names[] = {{NID_subject_alt_name, "DNS:origin.test,IP:192.0.2.1"},
					{0}};
static const struct cert_ext for_clients[] = {
	{NID_subject_alt_name, "DNS:origin.test"}, {NID_ext_key_usage, "clientAuth"}, {0}};
static const struct cert_ext for_any[] = {
	{NID_subject_alt_name, "DNS:origin.test"}, {NID_ext_key_usage, "2.5.29.37.0"}, {0}};
static const struct cert_ext for_servers[] = {{NID_subject_alt_name, "DNS:origin.test"},
					      {NID_ext_key_usage, "serverAuth,2.5.29.37.0"},
					      {0}};
static const struct cert_ext for_crls[] = {
	{NID_subject_alt_name, "DNS:origin.test"}, {NID_key_usage, "critical,cRLSign"}, {0}};

static X509 *make_ca(const char *cn, EVP_PKEY *key)
{
	return make_test_cert(&(struct cert_spec){.cn = cn, .key = key, .exts = ca_exts});
}

static int make_all(void **state)
{
	(void)state;
	made.ca_key = make_test_key("P-256");
	made.between_key = make_test_key("P-256");
	made.key = make_test_key("P-256");
	made.weak_key = make_test_key("RSA-1024");
	made.ca = make_ca("the CA", made.ca_key);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	X509_free(made.ca);
	EVP_PKEY_free(made.weak_key);
	EVP_PKEY_free(made.key);
	EVP_PKEY_free(made.between_key);
	EVP_PKEY_free(made.ca_key);
	return 0;
}

/* By the CA, but for what the caller says. */
static X509 *make_leaf(struct cert_spec spec)
{
	spec.cn = "origin";
	spec.key = spec.key ? spec.key : made.key;
	spec.exts = spec.exts ? spec.exts : names;
	if (!spec.issuer) {
		spec.issuer = made.ca;
		spec.issuer_key = made.ca_key;
	}
	return make_test_cert(&spec);
}

static int gather(int ok, X509_STORE_CTX *ctx)
{
	uint32_t *faults = X509_STORE_CTX_get_app_data(ctx);

	if (!ok)
		*faults |= origin_fault_of_error(X509_STORE_CTX_get_error(ctx),
						 X509_STORE_CTX_get_error_depth(ctx),
						 X509_STORE_CTX_get_current_cert(ctx));
	return 1;
}

static void call_for(X509_VERIFY_PARAM *param, const char *host)
{
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_auth_level(param, 2); /* Debian's */
	if (strchr("0123456789", host[0]))
		assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(param, host), 1);
	else
		assert_int_equal(X509_VERIFY_PARAM_set1_host(param, host, 0), 1);
}

/* As a TLS client verifies who trusts `root`. Frees `cert` and `between` (may be NULL). */
static uint32_t faults_under(X509 *root, X509 *cert, X509 *between, const char *host)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *sent = sk_X509_new_null();
	uint32_t faults = 0;

	if (between)
		sk_X509_push(sent, between);
	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, sent), 1);
	X509_STORE_CTX_set_app_data(ctx, &faults);
	X509_STORE_CTX_set_verify_cb(ctx, gather);
	call_for(X509_STORE_CTX_get0_param(ctx), host);
	assert_int_equal(X509_verify_cert(ctx), 1);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_pop_free(sent, X509_free);
	X509_free(cert);
	ERR_clear_error();
	return faults;
}

static uint32_t faults_of(X509 *cert, X509 *between)
{
	return faults_under(made.ca, cert, between, "origin.test");
}

static void a_good_one_has_none(void **state)
{
	(void)state;
	assert_int_equal(faults_of(make_leaf((struct cert_spec){0}), NULL), 0);
	assert_int_equal(faults_of(make_leaf((struct cert_spec){.exts = for_servers}), NULL), 0);
	assert_int_equal(faults_under(made.ca, make_leaf((struct cert_spec){0}), NULL, "192.0.2.1"),
			 0);
}

static void its_own_time_and_names(void **state)
{
	const struct cert_spec expired = {.from = -9 * DAY, .until = -DAY};
	const struct cert_spec early = {.from = DAY, .until = 9 * DAY};

	(void)state;
	assert_int_equal(faults_of(make_leaf(expired), NULL), ORIGIN_EXPIRED);
	assert_int_equal(faults_of(make_leaf(early), NULL), ORIGIN_NOT_YET_VALID);
	assert_int_equal(
		faults_under(made.ca, make_leaf((struct cert_spec){0}), NULL, "other.test"),
		ORIGIN_NAME);
	assert_int_equal(faults_under(made.ca, make_leaf((struct cert_spec){0}), NULL, "192.0.2.2"),
			 ORIGIN_NAME);
	assert_int_equal(faults_under(made.ca, make_leaf(expired), NULL, "other.test"),
			 ORIGIN_EXPIRED | ORIGIN_NAME);
}

/* One between it and the CA, and the leaf below that. */
static uint32_t faults_below(struct cert_spec spec, bool is_sent)
{
	X509 *between, *leaf;
	uint32_t faults;

	spec.cn = "between";
	spec.key = spec.key ? spec.key : made.between_key;
	spec.exts = spec.exts ? spec.exts : ca_exts;
	spec.issuer = made.ca;
	spec.issuer_key = made.ca_key;
	between = make_test_cert(&spec);
	leaf = make_leaf((struct cert_spec){.issuer = between, .issuer_key = spec.key});
	faults = faults_of(leaf, is_sent ? between : NULL);
	if (!is_sent)
		X509_free(between);
	return faults;
}

static void those_above_it(void **state)
{
	(void)state;
	assert_int_equal(faults_below((struct cert_spec){0}, true), 0);
	assert_int_equal(faults_below((struct cert_spec){0}, false), ORIGIN_UNTRUSTED);
	assert_int_equal(faults_below((struct cert_spec){.from = -9 * DAY, .until = -DAY}, true),
			 ORIGIN_CHAIN_TIME);
	assert_int_equal(faults_below((struct cert_spec){.from = DAY, .until = 9 * DAY}, true),
			 ORIGIN_CHAIN_TIME);
	assert_int_equal(faults_below((struct cert_spec){.key = made.weak_key}, true),
			 ORIGIN_WEAK_SIGNATURE);
	assert_int_equal(faults_below((struct cert_spec){.exts = no_ca_exts}, true),
			 ORIGIN_UNTRUSTED);
}

/* One CA too many below one that may have none below it. */
static void a_path_too_long(void **state)
{
	EVP_PKEY *key = made.between_key;
	X509 *root = make_test_cert(
		&(struct cert_spec){.cn = "last", .key = made.ca_key, .exts = last_ca_exts});
	X509 *between = make_test_cert(&(struct cert_spec){.cn = "between",
							   .key = key,
							   .issuer = root,
							   .issuer_key = made.ca_key,
							   .exts = ca_exts});
	X509 *leaf = make_leaf((struct cert_spec){.issuer = between, .issuer_key = key});

	(void)state;
	assert_int_equal(faults_under(root, leaf, between, "origin.test"), ORIGIN_UNTRUSTED);
	X509_free(root);
}

static void whose_signature_it_is(void **state)
{
	X509 *stranger = make_ca("a stranger", made.between_key);
	/* Of the CA's name, which is all that it has of it. */
	X509 *as_ca = make_ca("the CA", made.between_key);
	X509 *self =
		make_test_cert(&(struct cert_spec){.cn = "origin", .key = made.key, .exts = names});
	X509 *sha1 = make_leaf((struct cert_spec){0});

	(void)state;
	assert_int_equal(faults_of(make_leaf((struct cert_spec){.issuer = stranger,
								.issuer_key = made.between_key}),
				   NULL),
			 ORIGIN_UNTRUSTED);
	assert_int_equal(faults_of(make_leaf((struct cert_spec){.issuer = stranger,
								.issuer_key = made.between_key}),
				   stranger),
			 ORIGIN_UNTRUSTED);
	assert_int_equal(faults_of(make_leaf((struct cert_spec){.issuer = as_ca,
								.issuer_key = made.between_key}),
				   NULL),
			 ORIGIN_UNTRUSTED);
	assert_int_equal(faults_of(self, NULL), ORIGIN_SELF_SIGNED);
	assert_true(X509_sign(sha1, made.ca_key, EVP_sha1()) > 0);
	assert_int_equal(faults_of(sha1, NULL), ORIGIN_WEAK_SIGNATURE);
	X509_free(as_ca);
}

static void its_key_and_its_purpose(void **state)
{
	X509 *odd = make_leaf((struct cert_spec){.exts = for_crls});
	X509 *any = make_leaf((struct cert_spec){.exts = for_any});
	X509 *clients = make_leaf((struct cert_spec){.exts = for_clients});

	(void)state;
	assert_int_equal(faults_of(make_leaf((struct cert_spec){.key = made.weak_key}), NULL),
			 ORIGIN_WEAK_KEY);
	/* OpenSSL alone minds, or no purpose of a leaf could show it. */
	assert_int_equal(faults_of(odd, NULL), ORIGIN_UNTRUSTED);
	assert_int_equal(faults_of(any, NULL), ORIGIN_UNTRUSTED);
	assert_int_equal(origin_fault_of_error(X509_V_ERR_INVALID_PURPOSE, 1, clients),
			 ORIGIN_UNTRUSTED);
	assert_int_equal(origin_fault_of_error(X509_V_ERR_INVALID_PURPOSE, 0, NULL),
			 ORIGIN_UNTRUSTED);
	assert_int_equal(faults_of(clients, NULL), ORIGIN_PURPOSE);
}

/* No error is a fault of none: what nobody thought of is not to be trusted. */
static void errors_without_a_fault_of_their_own(void **state)
{
	(void)state;
	assert_int_equal(origin_fault_of_error(X509_V_ERR_CERT_REVOKED, 0, NULL), ORIGIN_REVOKED);
	for (int error = 1; error < 200; error++)
		for (int depth = 0; depth < 3; depth++) {
			uint32_t fault = origin_fault_of_error(error, depth, NULL);

			if (!fault || fault & (fault - 1))
				fail_msg("error %d at depth %d: 0x%x", error, depth, fault);
		}
	assert_int_equal(origin_fault_of_error(X509_V_ERR_UNSPECIFIED, 0, NULL), ORIGIN_UNTRUSTED);
	assert_int_equal(origin_fault_of_error(X509_V_ERR_PERMITTED_VIOLATION, 0, NULL),
			 ORIGIN_UNTRUSTED);
}

/* docs/upstream.md, and of several the one that says most. */
static void alerts(void **state)
{
	static const struct {
		uint32_t faults;
		uint8_t alert;
	} cases[] = {
		{ORIGIN_UNTRUSTED, SSL_AD_UNKNOWN_CA},
		{ORIGIN_SELF_SIGNED, SSL_AD_UNKNOWN_CA},
		{ORIGIN_EXPIRED, SSL_AD_CERTIFICATE_EXPIRED},
		{ORIGIN_NOT_YET_VALID, SSL_AD_CERTIFICATE_EXPIRED},
		{ORIGIN_CHAIN_TIME, SSL_AD_CERTIFICATE_EXPIRED},
		{ORIGIN_NAME, SSL_AD_BAD_CERTIFICATE},
		{ORIGIN_PURPOSE, SSL_AD_UNSUPPORTED_CERTIFICATE},
		{ORIGIN_REVOKED, SSL_AD_CERTIFICATE_REVOKED},
		{ORIGIN_WEAK_KEY, SSL_AD_BAD_CERTIFICATE},
		{ORIGIN_WEAK_SIGNATURE, SSL_AD_BAD_CERTIFICATE},
		{ORIGIN_PIN, SSL_AD_CERTIFICATE_UNKNOWN},
		{(1U << KSPLIT_ORIGIN_FAULT_COUNT) - 1, SSL_AD_CERTIFICATE_UNKNOWN},
		{ORIGIN_REVOKED | ORIGIN_EXPIRED, SSL_AD_CERTIFICATE_REVOKED},
		{ORIGIN_SELF_SIGNED | ORIGIN_EXPIRED | ORIGIN_NAME, SSL_AD_UNKNOWN_CA},
		{ORIGIN_EXPIRED | ORIGIN_NAME, SSL_AD_CERTIFICATE_EXPIRED},
		{ORIGIN_PURPOSE | ORIGIN_NAME, SSL_AD_UNSUPPORTED_CERTIFICATE},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		if (origin_faults_alert(cases[i].faults) != cases[i].alert)
			fail_msg("faults 0x%x: alert %u", cases[i].faults,
				 origin_faults_alert(cases[i].faults));
}

static void printed(void **state)
{
	const uint32_t all = (1U << KSPLIT_ORIGIN_FAULT_COUNT) - 1;
	char buf[ORIGIN_FAULTS_PRINTED + 1], whole[ORIGIN_FAULTS_PRINTED];

	(void)state;
	assert_ptr_equal(origin_faults_print(0, buf, sizeof(buf)), buf);
	assert_string_equal(buf, "none");
	assert_string_equal(origin_faults_print(ORIGIN_PIN, buf, sizeof(buf)), "pin_mismatch");
	assert_string_equal(origin_faults_print(ORIGIN_NAME | ORIGIN_EXPIRED, buf, sizeof(buf)),
			    "expired, wrong_name");
	origin_faults_print(all, whole, sizeof(whole));
	assert_string_equal(strrchr(whole, ' '), " pin_mismatch");
	for (size_t len = 1; len < sizeof(buf); len++) {
		memset(buf, '#', sizeof(buf));
		origin_faults_print(all, buf, len);
		assert_int_equal(buf[len], '#');
		assert_non_null(memchr(buf, '\0', len));
		assert_memory_equal(buf, whole, strlen(buf));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one_has_none),
		cmocka_unit_test(its_own_time_and_names),
		cmocka_unit_test(those_above_it),
		cmocka_unit_test(a_path_too_long),
		cmocka_unit_test(whose_signature_it_is),
		cmocka_unit_test(its_key_and_its_purpose),
		cmocka_unit_test(errors_without_a_fault_of_their_own),
		cmocka_unit_test(alerts),
		cmocka_unit_test(printed),
	};

	return cmocka_run_group_tests_name("origin_faults", tests, make_all, free_all);
}
