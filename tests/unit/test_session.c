// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <stdio.h>

#include "end_rig.h"

static struct lab lab;
static EVP_PKEY *origin_ca_key, *origin_key;
static X509 *origin_ca;
static struct tls_context *verifying; /* trusts origin_ca alone */

static const struct cert_ext ca_exts[] = {{NID_basic_constraints, "critical,CA:TRUE"}, {0, NULL}};
static const struct cert_ext origin_exts[] = {
	{NID_subject_alt_name, "DNS:origin.test,DNS:*.wild.test,IP:192.0.2.9,IP:2001:db8::9"},
	{0, NULL}};

static void make_verifying_context(void)
{
	char path[] = "/tmp/ksplit-test-XXXXXX", error[256] = "";
	const struct tls_upstream_options upstream = {.ca = path, .verify = TLS_VERIFY_REQUIRE};
	const struct tls_context_options options = {
		.upstream = &upstream, .upstream_len = 1};
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, origin_ca), 1);
	fclose(file);
	if (tls_context_new(&options, &verifying, error, sizeof(error)))
		fail_msg("%s", error);
	unlink(path);
}

static int setup(void **state)
{
	(void)state;
	lab_open(&lab);
	origin_ca_key = make_test_key("P-256");
	origin_key = make_test_key("P-256");
	origin_ca = make_test_cert(
		&(struct cert_spec){.cn = "origin CA", .key = origin_ca_key, .exts = ca_exts});
	make_verifying_context();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_context_free(verifying);
	X509_free(origin_ca);
	EVP_PKEY_free(origin_key);
	EVP_PKEY_free(origin_ca_key);
	lab_close(&lab);
	return 0;
}

/* A session and a peer that have yet to shake hands. */
static void open_half(struct end_rig *rig, bool is_client_side)
{
	memset(rig, 0, sizeof(*rig));
	rig->lab = &lab;
	rig->options.is_client_side = is_client_side;
	rig_tcp_open(rig);
	out_buffer_init(&rig->out, &lab.out_pool);
}

static void peer_begin(struct end_rig *rig, SSL_CTX *ctx)
{
	rig->peer.ssl = SSL_new(ctx);
	SSL_set_fd(rig->peer.ssl, rig->peer.fd);
	if (rig->options.is_client_side)
		SSL_set_connect_state(rig->peer.ssl);
	else
		SSL_set_accept_state(rig->peer.ssl);
}

/* Until the session has a verdict; the peer goes as far as it can. */
static enum tls_step shake(struct end_rig *rig, struct tls_failure *failure)
{
	enum tls_step step = TLS_STEP_AGAIN;

	for (int i = 0; step == TLS_STEP_AGAIN; i++) {
		assert_true(i < PATIENCE_MS);
		if (rig->peer.ssl)
			SSL_do_handshake(rig->peer.ssl);
		step = tls_session_step(&rig->session, failure);
		if (i > 4)
			poll(NULL, 0, 1);
	}
	/* A last word to the peer, and what it makes of it. */
	out_buffer_send(&rig->out, rig->fd);
	for (int i = 0; i < 20 && rig->peer.ssl; i++) {
		SSL_do_handshake(rig->peer.ssl);
		poll(NULL, 0, step == TLS_STEP_DONE && SSL_is_init_finished(rig->peer.ssl) ? 0 : 1);
	}
	ERR_clear_error();
	return step;
}

/* --- upstream --- */

struct origin {
	const char *seen_sni;
	char sni[64];
	uint8_t alpn[64];
	unsigned int alpn_len;
};

static int on_sni(SSL *ssl, int *alert, void *arg)
{
	struct origin *origin = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (name)
		snprintf(origin->sni, sizeof(origin->sni), "%s", name);
	origin->seen_sni = name ? origin->sni : NULL;
	return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned int in_len, void *arg)
{
	struct origin *origin = arg;

	(void)ssl;
	memcpy(origin->alpn, in, in_len);
	origin->alpn_len = in_len;
	*out = in + 1 + in[0] + 1; /* the second one */
	*out_len = in[1 + in[0]];
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *origin_context(struct origin *origin, X509 *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	memset(origin, 0, sizeof(*origin));
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, origin_key);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_sni);
	SSL_CTX_set_tlsext_servername_arg(ctx, origin);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, origin);
	return ctx;
}

static X509 *origin_cert(long from, long until)
{
	return make_test_cert(&(struct cert_spec){.cn = "origin.test",
						  .key = origin_key,
						  .issuer = origin_ca,
						  .issuer_key = origin_ca_key,
						  .from = from,
						  .until = until,
						  .exts = origin_exts});
}

static enum tls_step connect_to(struct end_rig *rig, struct origin *origin, X509 *cert,
				const struct tls_context *context,
				const struct tls_upstream_target *target,
				struct tls_failure *failure)
{
	SSL_CTX *ctx = origin_context(origin, cert);
	enum tls_step step;

	open_half(rig, false);
	peer_begin(rig, ctx);
	assert_int_equal(
		tls_session_connect(&rig->session, context, rig->fd, &rig->out, lab.kdf, target),
		0);
	step = shake(rig, failure);
	SSL_CTX_free(ctx);
	return step;
}

/* The client's SNI and ALPN reach the origin as they are. */
static void test_sni_and_alpn(void **state)
{
	static const uint8_t alpn[] = "\2h2\10http/1.1\6strang";
	const struct tls_upstream_target full = {
		.sni = "origin.test", .alpn = alpn, .alpn_len = 19};
	const struct tls_upstream_target bare = {.sni = ""};
	struct tls_failure failure;
	const unsigned char *chosen;
	X509 *cert = origin_cert(0, 0);
	struct origin origin;
	struct end_rig rig;
	unsigned int len;

	(void)state;
	assert_int_equal(connect_to(&rig, &origin, cert, lab.context, &full, &failure),
			 TLS_STEP_DONE);
	assert_string_equal(origin.seen_sni, "origin.test");
	assert_int_equal(origin.alpn_len, 19);
	assert_memory_equal(origin.alpn, alpn, 19);
	SSL_get0_alpn_selected(rig.session.ssl, &chosen, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(chosen, "http/1.1", 8);
	rig_close(&rig);
	assert_int_equal(connect_to(&rig, &origin, cert, lab.context, &bare, &failure),
			 TLS_STEP_DONE);
	assert_null(origin.seen_sni);
	assert_int_equal(origin.alpn_len, 0);
	rig_close(&rig);
	X509_free(cert);
}

static void expect_verify(X509 *cert, const char *name, int alert)
{
	const struct tls_upstream_target target = {.sni = "origin.test", .verify_name = name};
	struct tls_failure failure = {0};
	struct origin origin;
	struct end_rig rig;
	enum tls_step step = connect_to(&rig, &origin, cert, verifying, &target, &failure);

	if (alert < 0) {
		if (step != TLS_STEP_DONE)
			fail_msg("%s: %s", name, failure.text);
	} else {
		assert_int_equal(step, TLS_STEP_FAILED);
		assert_int_equal(failure.kind, TLS_FAILURE_UNVERIFIED);
		assert_int_equal(failure.alert, alert);
		assert_true(strlen(failure.text) > 0);
	}
	rig_close(&rig);
}

static void test_verify(void **state)
{
	X509 *good = origin_cert(0, 0);
	X509 *expired = origin_cert(-20 * DAY, -DAY);
	X509 *early = origin_cert(DAY, 20 * DAY);
	X509 *stranger = make_test_cert(
		&(struct cert_spec){.cn = "origin.test", .key = origin_key, .exts = origin_exts});

	(void)state;
	expect_verify(good, NULL, -1);
	expect_verify(good, "origin.test", -1);
	expect_verify(good, "ORIGIN.test", -1);
	expect_verify(good, "a.wild.test", -1);
	expect_verify(good, "192.0.2.9", -1);
	expect_verify(good, "2001:db8::9", -1);
	expect_verify(good, "other.test", SSL_AD_BAD_CERTIFICATE);
	expect_verify(good, "a.b.wild.test", SSL_AD_BAD_CERTIFICATE);
	expect_verify(good, "192.0.2.10", SSL_AD_BAD_CERTIFICATE);
	expect_verify(expired, NULL, SSL_AD_CERTIFICATE_EXPIRED);
	expect_verify(early, NULL, SSL_AD_CERTIFICATE_EXPIRED);
	expect_verify(stranger, NULL, SSL_AD_UNKNOWN_CA);
	X509_free(good);
	X509_free(expired);
	X509_free(early);
	X509_free(stranger);
}

/* The origin wants a certificate of the client's: told, not answered. */
static void test_client_cert(void **state)
{
	const struct tls_upstream_target target = {.sni = "origin.test"};
	X509 *cert = origin_cert(0, 0);

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct tls_failure failure;
		struct origin origin;
		struct end_rig rig;
		SSL_CTX *ctx = origin_context(&origin, cert);

		SSL_CTX_set_max_proto_version(ctx, version);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		open_half(&rig, false);
		peer_begin(&rig, ctx);
		assert_int_equal(tls_session_connect(&rig.session, lab.context, rig.fd, &rig.out,
						     lab.kdf, &target),
				 0);
		assert_int_equal(shake(&rig, &failure), TLS_STEP_CLIENT_CERT);
		rig_close(&rig);
		SSL_CTX_free(ctx);
	}
	X509_free(cert);
}

/* --- failures, on both sides --- */

static void begin_session(struct end_rig *rig, bool is_client_side)
{
	open_half(rig, is_client_side);
	rig_new_session(rig);
}

static void expect_failure(struct end_rig *rig, enum tls_failure_kind kind, int alert)
{
	struct tls_failure failure = {0};

	assert_int_equal(shake(rig, &failure), TLS_STEP_FAILED);
	assert_int_equal(failure.kind, kind);
	assert_int_equal(failure.alert, alert);
	assert_true(strlen(failure.text) > 0);
	rig_close(rig);
}

static void test_peer_leaves(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct tls_failure failure;
		struct end_rig rig;

		begin_session(&rig, side);
		assert_int_equal(tls_session_step(&rig.session, &failure), TLS_STEP_AGAIN);
		shutdown(rig.peer.fd, SHUT_WR);
		expect_failure(&rig, TLS_FAILURE_CLOSED, -1);

		begin_session(&rig, side);
		peer_send_bytes(&rig.peer, "\x16\x03\x03\x00\x50\x02", 6); /* in a record */
		shutdown(rig.peer.fd, SHUT_WR);
		expect_failure(&rig, TLS_FAILURE_CLOSED, -1);

		begin_session(&rig, side);
		peer_reset(&rig.peer);
		expect_failure(&rig, TLS_FAILURE_RESET, -1);
	}
}

static void test_peer_alerts(void **state)
{
	struct end_rig rig;

	(void)state;
	begin_session(&rig, false);
	peer_send_bytes(&rig.peer, "\x15\x03\x03\x00\x02\x02\x28", 7);
	expect_failure(&rig, TLS_FAILURE_ALERT, SSL_AD_HANDSHAKE_FAILURE);
}

/* A client that does not like the leaf says so behind its handshake's first flight. */
static void test_leaf_rejected(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		struct end_rig rig;

		SSL_CTX_set_max_proto_version(ctx, version);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		begin_session(&rig, true);
		peer_begin(&rig, ctx);
		expect_failure(&rig, TLS_FAILURE_ALERT, SSL_AD_UNKNOWN_CA);
		SSL_CTX_free(ctx);
	}
}

static void test_nonsense(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct end_rig rig;

		begin_session(&rig, side);
		peer_send_bytes(&rig.peer, "HTTP/1.0 400 Bad Request\r\n\r\n", 28);
		expect_failure(&rig, TLS_FAILURE_PROTOCOL, -1);
	}
}

/* A client that has no cipher in common; it is told. */
static void test_nothing_in_common(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct end_rig rig;

	(void)state;
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ECDHE-RSA-AES128-GCM-SHA256"), 1);
	begin_session(&rig, true); /* the leaf's key is EC */
	peer_begin(&rig, ctx);
	expect_failure(&rig, TLS_FAILURE_PROTOCOL, -1);
	SSL_CTX_free(ctx);
}

/* --- the client's side --- */

/* The protocol that the origin chose, or none; never another one. */
static void test_client_alpn(void **state)
{
	static const uint8_t offered[] = "\2h2\10http/1.1";
	static const struct {
		const char *choice;
		size_t len;
	} cases[] = {{"http/1.1", 8}, {"h2", 2}, {NULL, 0}};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	SSL_CTX_set_alpn_protos(ctx, offered, 12);
	for (int i = 0; i < 3; i++) {
		struct tls_failure failure;
		const unsigned char *chosen;
		struct end_rig rig;
		unsigned int len;

		begin_session(&rig, true);
		rig.session.alpn = (const uint8_t *)cases[i].choice;
		rig.session.alpn_len = cases[i].len;
		peer_begin(&rig, ctx);
		assert_int_equal(shake(&rig, &failure), TLS_STEP_DONE);
		SSL_get0_alpn_selected(rig.peer.ssl, &chosen, &len);
		assert_int_equal(len, cases[i].len);
		if (len)
			assert_memory_equal(chosen, cases[i].choice, len);
		rig_close(&rig);
	}
	SSL_CTX_free(ctx);
}

static SSL_SESSION *last_ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	(void)ssl;
	SSL_SESSION_free(last_ticket);
	last_ticket = ticket;
	return 1;
}

/* A client that comes back, with the ticket it got, for a leaf. Was it taken? */
static bool come_back(SSL_CTX *ctx, uint8_t leaf)
{
	const uint8_t leaf_id[32] = {leaf};
	struct tls_failure failure;
	struct end_rig rig;
	bool reused;
	const struct tls_credential shown = {.cert = lab.leaf, .key = lab.leaf_key};
	char byte;

	open_half(&rig, true);
	assert_int_equal(tls_session_accept(&rig.session, lab.context, rig.fd, &rig.out, lab.kdf,
					    &shown, leaf_id),
			 0);
	peer_begin(&rig, ctx);
	if (last_ticket)
		SSL_set_session(rig.peer.ssl, last_ticket);
	assert_int_equal(shake(&rig, &failure), TLS_STEP_DONE);
	assert_true(SSL_read(rig.peer.ssl, &byte, 1) < 0); /* takes the tickets in */
	/* A session that was not ended in order would not be taken up again. */
	SSL_set_shutdown(rig.peer.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	reused = SSL_session_reused(rig.peer.ssl);
	rig_close(&rig);
	return reused;
}

/* A ticket is good for the leaf it came with, and for no other name's. */
static void test_tickets_by_leaf(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

		SSL_CTX_set_max_proto_version(ctx, version);
		SSL_CTX_set_session_cache_mode(ctx,
					       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, keep_ticket);
		assert_false(come_back(ctx, 1));
		assert_non_null(last_ticket);
		assert_true(come_back(ctx, 1));
		assert_false(come_back(ctx, 2));
		assert_true(come_back(ctx, 2));
		SSL_SESSION_free(last_ticket);
		last_ticket = NULL;
		SSL_CTX_free(ctx);
	}
}

/* --- into the kernel --- */

/* Bytes that user space holds already would be lost to the kernel: that direction stays. */
static void test_bytes_pending(void **state)
{
	struct ktls_support claimed = {.ulp = true};

	(void)state;
	memset(claimed.tx, true, sizeof(claimed.tx));
	memset(claimed.rx, true, sizeof(claimed.rx));
	for (size_t i = 0; i < 2 * TLS_SUITES; i++) {
		const struct end_options options = {.suite = &tls_suites[i / 2],
						    .is_client_side = i % 2};
		struct end_rig rig;
		char bytes[4];

		rig_open(&rig, &lab, &options);
		assert_int_equal(out_buffer_append(&rig.out, "x", 1), 0);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_TX, &claimed),
				 KSPLIT_KTLS_BYTES_PENDING);
		out_buffer_reset(&rig.out);
		assert_int_equal(peer_write(&rig.peer, "more", 4), 4);
		wait_readable(rig.fd);
		while (SSL_read(rig.session.ssl, bytes, 1) != 1)
			wait_readable(rig.fd);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_RX, &claimed),
				 KSPLIT_KTLS_BYTES_PENDING);
		assert_int_equal(SSL_read(rig.session.ssl, bytes, 4), 3);
		assert_memory_equal(bytes, "ore", 3);
		rig_close(&rig);
	}
}

/* Ciphers that the kernel does not have: refused to it, but to nobody else. */
static void test_cipher_not_in_kernel(void **state)
{
	static const struct tls_suite cbc = {0x0303, TLS_AEAD_NONE, "ECDHE-ECDSA-AES128-SHA"};
	static const struct tls_suite chacha = {0x0304, TLS_AEAD_CHACHA20_POLY1305,
						"TLS_CHACHA20_POLY1305_SHA256"};
	struct ktls_support gcm_only = {.ulp = true};
	struct end_options options = {.suite = &cbc};
	struct end_rig rig;

	(void)state;
	gcm_only.tx[1][TLS_AEAD_AES128_GCM] = gcm_only.rx[1][TLS_AEAD_AES128_GCM] = true;
	for (int side = 0; side < 2; side++) {
		options.is_client_side = side;
		rig_open(&rig, &lab, &options);
		assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_TX, &gcm_only),
				 KSPLIT_KTLS_CIPHER);
		assert_int_equal(peer_write(&rig.peer, "on", 2), 2);
		rig_expect(&rig, "on", 2);
		/* No alert can be sealed by hand then, but close_notify is OpenSSL's own. */
		assert_int_equal(relay_end_send_alert(&rig.end, 2, 80), -ENOTSUP);
		assert_int_equal(relay_end_send_alert(&rig.end, 1, 0), 0);
		rig_close(&rig);
	}
	options.suite = &chacha;
	rig_open(&rig, &lab, &options);
	assert_int_equal(tls_session_to_kernel(&rig.session, rig.fd, KTLS_RX, &gcm_only),
			 KSPLIT_KTLS_CIPHER);
	assert_int_equal(peer_write(&rig.peer, "on", 2), 2);
	rig_expect(&rig, "on", 2);
	rig_close(&rig);
}

/* What the kernel holds is not held here any more, where nobody needs it for a next key. */
static void test_secrets_wiped(void **state)
{
	static const struct tls_secret none;
	const struct end_options options = {
		.suite = &tls_suites[3], .rx_kernel = true, .tx_kernel = true};
	struct end_rig rig;

	(void)state;
	if (rig_possible(&lab, &options)) {
		rig_open(&rig, &lab, &options);
		for (int i = 0; i < 2; i++)
			assert_int_equal(
				memcmp(&rig.session.track.secret[i], &none, sizeof(none)) == 0,
				!lab.support.rekey);
		assert_null(rig.session.ssl);
		rig_close(&rig);
	} else {
		const struct end_options user = {.suite = &tls_suites[3]};

		printf("without kernel TLS: wiped when the session is freed\n");
		rig_open(&rig, &lab, &user);
		assert_int_equal(rig.session.track.secret[KTLS_TX].len, 32);
		rig_close(&rig);
	}
	for (int i = 0; i < 2; i++)
		assert_memory_equal(&rig.session.track.secret[i], &none, sizeof(none));
	assert_null(rig.session.ssl);
	tls_session_free(&rig.session); /* again: nothing there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sni_and_alpn),  cmocka_unit_test(test_verify),
		cmocka_unit_test(test_client_cert),   cmocka_unit_test(test_peer_leaves),
		cmocka_unit_test(test_peer_alerts),   cmocka_unit_test(test_leaf_rejected),
		cmocka_unit_test(test_nonsense),      cmocka_unit_test(test_nothing_in_common),
		cmocka_unit_test(test_client_alpn),   cmocka_unit_test(test_tickets_by_leaf),
		cmocka_unit_test(test_bytes_pending), cmocka_unit_test(test_cipher_not_in_kernel),
		cmocka_unit_test(test_secrets_wiped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
