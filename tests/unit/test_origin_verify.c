// SPDX-License-Identifier: GPL-2.0-or-later
/* Handshakes with bad origins: which faults each way to verify finds, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <stdio.h>

#include "end_rig.h"
#include "tls/origin_faults.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum profile {
	MIMIC,
	REQUIRE,
	OFF,
	MIMIC_CA_PIN,
	MIMIC_OTHER_PIN,
	REQUIRE_OWN_PIN,
	REQUIRE_OTHER_PIN,
	OFF_OWN_PIN,
	OFF_CA_PIN,
	PROFILES
};

static struct lab lab;
static struct tls_context *context;
static struct {
	EVP_PKEY *ca_key, *key, *weak_key, *other_key;
	X509 *ca;
} made;

static const struct cert_ext ca_exts[] = {{NID_basic_constraints, "critical,CA:TRUE"}, {0}};
static const struct cert_ext names[] = {{NID_subject_alt_name, "DNS:origin.test"}, {0}};
static const struct cert_ext for_clients[] = {
	{NID_subject_alt_name, "DNS:origin.test"}, {NID_ext_key_usage, "clientAuth"}, {0}};

static struct tls_pin pin_of(EVP_PKEY *key)
{
	uint8_t *spki = NULL;
	int len = i2d_PUBKEY(key, &spki);
	struct tls_pin pin;

	assert_true(len > 0);
	assert_int_equal(EVP_Digest(spki, (size_t)len, pin.sha256, NULL, EVP_sha256(), NULL), 1);
	OPENSSL_free(spki);
	return pin;
}

/* One rule's worth of options: how to verify, and what is pinned. */
static struct tls_upstream_options rule(const char *ca, enum tls_verify verify,
					const struct tls_pin *pins, size_t pins_len)
{
	return (struct tls_upstream_options){.name = "upstream.rules[0]",
					     .ca = verify == TLS_VERIFY_OFF ? NULL : ca,
					     .verify = verify,
					     .pins = pins,
					     .pins_len = pins_len};
}

static void make_context(const char *ca)
{
	const struct tls_pin own = pin_of(made.key), other = pin_of(made.other_key);
	const struct tls_pin either[] = {other, pin_of(made.ca_key)};
	const struct tls_upstream_options rules[PROFILES] = {
		[MIMIC] = rule(ca, TLS_VERIFY_MIMIC, NULL, 0),
		[REQUIRE] = rule(ca, TLS_VERIFY_REQUIRE, NULL, 0),
		[OFF] = rule(ca, TLS_VERIFY_OFF, NULL, 0),
		[MIMIC_CA_PIN] = rule(ca, TLS_VERIFY_MIMIC, either, LEN(either)),
		[MIMIC_OTHER_PIN] = rule(ca, TLS_VERIFY_MIMIC, &other, 1),
		[REQUIRE_OWN_PIN] = rule(ca, TLS_VERIFY_REQUIRE, &own, 1),
		[REQUIRE_OTHER_PIN] = rule(ca, TLS_VERIFY_REQUIRE, &other, 1),
		[OFF_OWN_PIN] = rule(ca, TLS_VERIFY_OFF, &own, 1),
		[OFF_CA_PIN] = rule(ca, TLS_VERIFY_OFF, either, LEN(either)),
	};
	const struct tls_context_options options = {.upstream = rules, .upstream_len = PROFILES};
	char error[256] = "";

	if (tls_context_new(&options, &context, error, sizeof(error)))
		fail_msg("%s", error);
}

static int setup(void **state)
{
	char path[] = "/tmp/ksplit-test-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");

	(void)state;
	lab_open(&lab);
	made.ca_key = make_test_key("P-256");
	made.key = make_test_key("P-256");
	made.other_key = make_test_key("P-256");
	made.weak_key = make_test_key("RSA-1024");
	made.ca = make_test_cert(
		&(struct cert_spec){.cn = "origin CA", .key = made.ca_key, .exts = ca_exts});
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, made.ca), 1);
	fclose(file);
	make_context(path);
	unlink(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_context_free(context);
	X509_free(made.ca);
	EVP_PKEY_free(made.weak_key);
	EVP_PKEY_free(made.other_key);
	EVP_PKEY_free(made.key);
	EVP_PKEY_free(made.ca_key);
	lab_close(&lab);
	return 0;
}

/* --- origins --- */

enum kind { GOOD, EXPIRED, EARLY, FOR_CLIENTS, WEAK, SELF_SIGNED, STRANGER };

static X509 *cert_of(enum kind kind)
{
	struct cert_spec spec = {.cn = "origin",
				 .key = kind == WEAK ? made.weak_key : made.key,
				 .issuer = made.ca,
				 .issuer_key = made.ca_key,
				 .exts = kind == FOR_CLIENTS ? for_clients : names};

	if (kind == EXPIRED)
		spec.from = -9 * DAY, spec.until = -DAY;
	if (kind == EARLY)
		spec.from = DAY, spec.until = 9 * DAY;
	if (kind == SELF_SIGNED)
		spec.issuer = NULL;
	if (kind == STRANGER) /* in the CA's name */
		spec.issuer_key = made.other_key;
	return make_test_cert(&spec);
}

/* It sends the CA's certificate along, as anybody can. */
static SSL *origin_new(enum kind kind, int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = cert_of(kind);
	SSL *ssl;

	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, kind == WEAK ? made.weak_key : made.key), 1);
	assert_int_equal(SSL_CTX_add1_chain_cert(ctx, made.ca), 1);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	X509_free(cert);
	SSL_CTX_free(ctx);
	return ssl;
}

static enum tls_step shake(struct end_rig *rig, struct tls_failure *failure)
{
	enum tls_step step = TLS_STEP_AGAIN;

	for (int i = 0; step == TLS_STEP_AGAIN; i++) {
		assert_true(i < PATIENCE_MS);
		SSL_do_handshake(rig->peer.ssl);
		step = tls_session_step(&rig->session, failure);
		if (i > 4)
			poll(NULL, 0, 1);
	}
	ERR_clear_error();
	return step;
}

struct verdict {
	uint32_t faults;
	int alert; /* -1: the handshake went through */
};

static struct verdict call(enum kind kind, const struct tls_upstream_target *target)
{
	struct tls_failure failure = {0};
	struct verdict verdict = {.alert = -1};
	struct end_rig rig = {.lab = &lab};

	rig_tcp_open(&rig);
	out_buffer_init(&rig.out, &lab.out_pool);
	rig.peer.ssl = origin_new(kind, rig.peer.fd);
	assert_int_equal(
		tls_session_connect(&rig.session, context, rig.fd, &rig.out, lab.kdf, target), 0);
	if (shake(&rig, &failure) != TLS_STEP_DONE) {
		assert_int_equal(failure.kind, TLS_FAILURE_UNVERIFIED);
		assert_true(strlen(failure.text) > 0);
		verdict.alert = failure.alert;
	}
	verdict.faults = rig.session.faults;
	rig_close(&rig);
	return verdict;
}

static struct verdict call_by(enum profile profile, enum kind kind, const char *name)
{
	return call(kind, &(struct tls_upstream_target){
				  .profile = profile, .sni = "origin.test", .verify_name = name});
}

static void expect(struct verdict verdict, uint32_t faults, int alert)
{
	char is[ORIGIN_FAULTS_PRINTED], expected[ORIGIN_FAULTS_PRINTED];

	if (verdict.faults != faults || verdict.alert != alert)
		fail_msg("faults: %s, expected %s; alert %d, expected %d",
			 origin_faults_print(verdict.faults, is, sizeof(is)),
			 origin_faults_print(faults, expected, sizeof(expected)), verdict.alert,
			 alert);
}

/* --- tests --- */

static const struct {
	enum kind kind;
	const char *name;
	uint32_t faults;
	int alert;
} origins[] = {
	{GOOD, "other.test", ORIGIN_NAME, SSL_AD_BAD_CERTIFICATE},
	{EXPIRED, "origin.test", ORIGIN_EXPIRED, SSL_AD_CERTIFICATE_EXPIRED},
	{EARLY, "origin.test", ORIGIN_NOT_YET_VALID, SSL_AD_CERTIFICATE_EXPIRED},
	{FOR_CLIENTS, "origin.test", ORIGIN_PURPOSE, SSL_AD_UNSUPPORTED_CERTIFICATE},
	{WEAK, "origin.test", ORIGIN_WEAK_KEY, SSL_AD_BAD_CERTIFICATE},
	{SELF_SIGNED, "origin.test", ORIGIN_SELF_SIGNED, SSL_AD_UNKNOWN_CA},
	{STRANGER, "origin.test", ORIGIN_UNTRUSTED, SSL_AD_UNKNOWN_CA},
	{EXPIRED, "other.test", ORIGIN_EXPIRED | ORIGIN_NAME, SSL_AD_CERTIFICATE_EXPIRED},
	{STRANGER, "other.test", ORIGIN_UNTRUSTED | ORIGIN_NAME, SSL_AD_UNKNOWN_CA},
};

static void a_good_one_passes_all(void **state)
{
	static const enum profile content[] = {MIMIC,        REQUIRE,         OFF,
					       MIMIC_CA_PIN, REQUIRE_OWN_PIN, OFF_OWN_PIN};

	(void)state;
	for (size_t i = 0; i < LEN(content); i++) {
		expect(call_by(content[i], GOOD, "origin.test"), 0, -1);
		expect(call_by(content[i], GOOD, NULL), 0, -1);
	}
}

static void mimic_goes_on_and_tells(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(origins); i++)
		expect(call_by(MIMIC, origins[i].kind, origins[i].name), origins[i].faults, -1);
}

static void require_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(origins); i++)
		expect(call_by(REQUIRE, origins[i].kind, origins[i].name), origins[i].faults,
		       origins[i].alert);
}

static void off_does_not_look(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(origins); i++)
		expect(call_by(OFF, origins[i].kind, origins[i].name), 0, -1);
}

/* A session may say it otherwise than its profile: faults that cannot be shown; our own ends. */
static void a_session_has_the_last_word(void **state)
{
	const struct tls_upstream_target strict = {
		.profile = MIMIC, .sni = "origin.test", .strict = true};
	const struct tls_upstream_target unverified = {
		.profile = REQUIRE_OTHER_PIN, .sni = "origin.test", .unverified = true};

	(void)state;
	expect(call(GOOD, &strict), 0, -1);
	expect(call(EXPIRED, &strict), ORIGIN_EXPIRED, SSL_AD_CERTIFICATE_EXPIRED);
	expect(call(STRANGER, &unverified), 0, -1);
}

static void pins(void **state)
{
	const int no = SSL_AD_CERTIFICATE_UNKNOWN;

	(void)state;
	expect(call_by(MIMIC_OTHER_PIN, GOOD, "origin.test"), ORIGIN_PIN, -1);
	expect(call_by(REQUIRE_OTHER_PIN, GOOD, "origin.test"), ORIGIN_PIN, no);
	expect(call_by(REQUIRE_OWN_PIN, EXPIRED, "origin.test"), ORIGIN_EXPIRED,
	       SSL_AD_CERTIFICATE_EXPIRED);
	/* A CA's counts where it has signed, whatever else is wrong. */
	expect(call_by(MIMIC_CA_PIN, EXPIRED, "origin.test"), ORIGIN_EXPIRED, -1);
	expect(call_by(MIMIC_CA_PIN, STRANGER, "origin.test"), ORIGIN_UNTRUSTED | ORIGIN_PIN, -1);
	expect(call_by(MIMIC_CA_PIN, SELF_SIGNED, "origin.test"), ORIGIN_SELF_SIGNED | ORIGIN_PIN,
	       -1);
	/* With nothing verified only its own key counts, and that alone. */
	expect(call_by(OFF_CA_PIN, GOOD, "origin.test"), ORIGIN_PIN, no);
	expect(call_by(OFF_OWN_PIN, WEAK, "origin.test"), ORIGIN_PIN, no);
	expect(call_by(OFF_OWN_PIN, SELF_SIGNED, "other.test"), 0, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one_passes_all),
		cmocka_unit_test(mimic_goes_on_and_tells),
		cmocka_unit_test(require_refuses),
		cmocka_unit_test(off_does_not_look),
		cmocka_unit_test(a_session_has_the_last_word),
		cmocka_unit_test(pins),
	};

	return cmocka_run_group_tests_name("origin_verify", tests, setup, teardown);
}
