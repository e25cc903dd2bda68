// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does what an origin staples revoke its certificate? (What is stapled to clients:
 * test_identity_store.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "cert_maker.h"
#include "pki/ocsp_staple.h"

#define LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define GOOD    V_OCSP_CERTSTATUS_GOOD
#define REVOKED V_OCSP_CERTSTATUS_REVOKED

/* Somebody who signs. */
struct party {
	EVP_PKEY *key;
	X509 *cert;
};

static struct {
	struct party ca, namesake, origin, other; /* the namesake: another CA of the same name */
	struct party responder, plain,
		foreign;        /* of the CA; without the purpose; of the namesake */
	STACK_OF(X509) * chain; /* the origin's and the CA, as verified */
} made;

static const struct cert_ext ca_exts[] = {{NID_basic_constraints, "critical,CA:TRUE"}, {0}};
static const struct cert_ext responder_exts[] = {{NID_ext_key_usage, "OCSPSigning"}, {0}};

static struct party make_party(const char *cn, const struct party *by, const struct cert_ext *exts)
{
	struct party party = {.key = make_test_key("P-256")};

	party.cert = make_test_cert(&(struct cert_spec){.cn = cn,
							.key = party.key,
							.issuer = by ? by->cert : NULL,
							.issuer_key = by ? by->key : NULL,
							.exts = exts});
	return party;
}

static void clear_party(struct party *party)
{
	X509_free(party->cert);
	EVP_PKEY_free(party->key);
}

static int make_all(void **state)
{
	(void)state;
	made.ca = make_party("the CA", NULL, ca_exts);
	made.namesake = make_party("the CA", NULL, ca_exts);
	made.origin = make_party("origin", &made.ca, NULL);
	made.other = make_party("other", &made.ca, NULL);
	made.responder = make_party("responder", &made.ca, responder_exts);
	made.plain = make_party("plain", &made.ca, NULL);
	made.foreign = make_party("foreign", &made.namesake, responder_exts);
	made.chain = sk_X509_new_null();
	sk_X509_push(made.chain, made.origin.cert);
	sk_X509_push(made.chain, made.ca.cert);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	sk_X509_free(made.chain);
	clear_party(&made.ca);
	clear_party(&made.namesake);
	clear_party(&made.origin);
	clear_party(&made.other);
	clear_party(&made.responder);
	clear_party(&made.plain);
	clear_party(&made.foreign);
	return 0;
}

/* A response. What is left out: of the origin, by its CA, signed by the CA, valid for a day. */
struct saying {
	int status;
	const struct party *about, *issuer, *signer;
	const EVP_MD *id_digest;
	long from, next; /* seconds from now; both 0: an hour ago to in a day */
	bool endless;    /* no nextUpdate */
	bool bare;       /* the signer's certificate is not in it */
	long at;         /* revoked, seconds from now; 0: as `from` */
	int reason;
	bool has_reason;
};

struct der {
	uint8_t *bytes;
	size_t len;
};

static void add_saying(OCSP_BASICRESP *basic, const struct saying *say)
{
	bool plain = !say->from && !say->next;
	ASN1_TIME *from = X509_gmtime_adj(NULL, plain ? -3600 : say->from);
	ASN1_TIME *at = X509_gmtime_adj(NULL, say->at ? say->at : plain ? -3600 : say->from);
	ASN1_TIME *next = X509_gmtime_adj(NULL, plain ? DAY : say->next);
	OCSP_CERTID *id = OCSP_cert_to_id(say->id_digest ? say->id_digest : EVP_sha1(),
					  (say->about ? say->about : &made.origin)->cert,
					  (say->issuer ? say->issuer : &made.ca)->cert);

	assert_non_null(OCSP_basic_add1_status(
		basic, id, say->status,
		say->has_reason ? say->reason : OCSP_REVOKED_STATUS_NOSTATUS,
		say->status == REVOKED ? at : NULL, from, say->endless ? NULL : next));
	OCSP_CERTID_free(id);
	ASN1_TIME_free(at);
	ASN1_TIME_free(from);
	ASN1_TIME_free(next);
}

/* One response of several; the last says who signs. */
static struct der respond(const struct saying *says, size_t len, int response_status)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	const struct saying *last = &says[len - 1];
	const struct party *signer = last->signer ? last->signer : &made.ca;
	struct der der = {0};
	OCSP_RESPONSE *response;
	int bytes;

	for (size_t i = 0; i < len; i++)
		add_saying(basic, &says[i]);
	assert_int_equal(OCSP_basic_sign(basic, signer->cert, signer->key, EVP_sha256(), NULL,
					 last->bare ? OCSP_NOCERTS : 0),
			 1);
	response = OCSP_response_create(response_status, basic);
	bytes = i2d_OCSP_RESPONSE(response, &der.bytes);
	assert_true(bytes > 0);
	der.len = (size_t)bytes;
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	return der;
}

/* From a copy that ends where it says, for the sanitizer's sake; leaves no errors behind. */
static bool revokes_by(const uint8_t *bytes, size_t len, STACK_OF(X509) * chain)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct revocation said = {.at = -1, .reason = -9};
	bool revokes;

	memcpy(copy, bytes, len);
	ERR_clear_error();
	revokes = ocsp_staple_revokes(copy, len, made.origin.cert, chain, &said);
	assert_int_equal(revokes, said.at >= 0);
	assert_int_equal(revokes, said.reason == REVOCATION_NO_REASON);
	assert_int_equal(ERR_peek_error(), 0);
	free(copy);
	return revokes;
}

static bool all_revoke(const struct saying *says, size_t len)
{
	struct der der = respond(says, len, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	bool revokes = revokes_by(der.bytes, der.len, made.chain);

	OPENSSL_free(der.bytes);
	return revokes;
}

static bool revokes(const struct saying say)
{
	return all_revoke(&say, 1);
}

static void only_revoked_is(void **state)
{
	(void)state;
	assert_true(revokes((struct saying){.status = REVOKED}));
	assert_true(revokes((struct saying){.status = REVOKED, .bare = true}));
	assert_true(revokes((struct saying){.status = REVOKED, .id_digest = EVP_sha256()}));
	assert_false(revokes((struct saying){.status = GOOD}));
	assert_false(revokes((struct saying){.status = V_OCSP_CERTSTATUS_UNKNOWN}));
}

/* Since when and why, as the signing process takes it. */
static void what_it_says_of_it(void **state)
{
	static const struct {
		long at;
		int reason, said;
	} cases[] = {
		{-7 * DAY, 1, 1},
		{-DAY, 0, 0},
		{-DAY, 10, 10},
		{-DAY, REVOCATION_NO_REASON, REVOCATION_NO_REASON},
		{-DAY, 7, REVOCATION_NO_REASON},
		{-DAY, 99, REVOCATION_NO_REASON},
		{DAY, 4, 4},          /* not yet: now */
		{-40000 * DAY, 4, 4}, /* before 1970 */
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		const struct saying say = {.status = REVOKED,
					   .at = cases[i].at,
					   .reason = cases[i].reason,
					   .has_reason = true};
		const int64_t now = time(NULL);
		struct der der = respond(&say, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL);
		struct revocation said;

		assert_true(ocsp_staple_revokes(der.bytes, der.len, made.origin.cert, made.chain,
						&said));
		assert_int_equal(said.reason, cases[i].said);
		if (cases[i].at > 0 || cases[i].at < -now)
			assert_in_range(said.at, cases[i].at > 0 ? now : 0,
					cases[i].at > 0 ? now + 60 : 0);
		else
			assert_in_range(said.at, now + cases[i].at, now + cases[i].at + 60);
		OPENSSL_free(der.bytes);
	}
}

static void about_another(void **state)
{
	const struct saying other = {.status = REVOKED, .about = &made.other};

	(void)state;
	assert_false(revokes(other));
	/* The same number, of the CA's namesake; whoever signs it. */
	assert_false(revokes((struct saying){.status = REVOKED, .issuer = &made.namesake}));
	assert_false(revokes((struct saying){
		.status = REVOKED, .issuer = &made.namesake, .signer = &made.namesake}));
	assert_true(all_revoke((struct saying[]){other, {.status = REVOKED}}, 2));
	assert_false(all_revoke((struct saying[]){other, {.status = GOOD}}, 2));
}

static void in_its_time_alone(void **state)
{
	(void)state;
	assert_false(revokes((struct saying){.status = REVOKED, .from = -2 * DAY, .next = -DAY}));
	assert_false(revokes((struct saying){.status = REVOKED, .from = DAY, .next = 2 * DAY}));
	assert_true(revokes((struct saying){.status = REVOKED, .endless = true}));
	/* a clock that is a little off */
	assert_true(revokes((struct saying){.status = REVOKED, .from = 60, .next = DAY}));
	assert_true(revokes((struct saying){.status = REVOKED, .from = -DAY, .next = -60}));
}

static void who_may_say_so(void **state)
{
	static const struct {
		const struct party *signer;
		bool may, bare;
	} cases[] = {
		{&made.responder, true, false}, {&made.responder, false, true}, /* who is it? */
		{&made.plain, false, false},    {&made.foreign, false, false},
		{&made.namesake, false, false}, {&made.namesake, false, true},
		{&made.other, false, false},    {&made.origin, false, false}, /* itself */
		{&made.origin, false, true},
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		if (revokes((struct saying){.status = REVOKED,
					    .signer = cases[i].signer,
					    .bare = cases[i].bare}) != cases[i].may)
			fail_msg("signer %zu", i);
}

static void without_an_issuer_nobody_can(void **state)
{
	const struct saying say = {.status = REVOKED};
	struct der der = respond(&say, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	STACK_OF(X509) *chain = sk_X509_new_null();

	(void)state;
	assert_false(revokes_by(der.bytes, der.len, NULL));
	assert_false(revokes_by(der.bytes, der.len, chain));
	sk_X509_push(chain, made.origin.cert);
	assert_false(revokes_by(der.bytes, der.len, chain));
	sk_X509_push(chain, made.namesake.cert);
	assert_false(revokes_by(der.bytes, der.len, chain));
	sk_X509_free(chain);
	OPENSSL_free(der.bytes);
}

static void an_error_is_no_answer(void **state)
{
	const struct saying say = {.status = REVOKED};

	(void)state;
	for (int status = 1; status <= OCSP_RESPONSE_STATUS_UNAUTHORIZED; status++) {
		struct der der = respond(&say, 1, status);

		assert_false(revokes_by(der.bytes, der.len, made.chain));
		OPENSSL_free(der.bytes);
	}
}

/* No part of one says anything, and no change of one turns it into a revocation. */
static void hostile_bytes(void **state)
{
	static const uint8_t masks[] = {0x01, 0x02, 0x80, 0xff};
	const struct saying good = {.status = GOOD, .bare = true};
	const struct saying bad = {.status = REVOKED, .bare = true};
	struct der der = respond(&bad, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL);

	(void)state;
	assert_true(revokes_by(der.bytes, der.len, made.chain));
	for (size_t len = 0; len < der.len; len++)
		assert_false(revokes_by(der.bytes, len, made.chain));
	OPENSSL_free(der.bytes);
	der = respond(&good, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	for (size_t i = 0; i < der.len * sizeof(masks); i++) {
		der.bytes[i / sizeof(masks)] ^= masks[i % sizeof(masks)];
		assert_false(revokes_by(der.bytes, der.len, made.chain));
		der.bytes[i / sizeof(masks)] ^= masks[i % sizeof(masks)];
	}
	OPENSSL_free(der.bytes);
	assert_false(revokes_by((const uint8_t *)"\x30\x03\x0a\x01\x00", 5, made.chain));
	assert_false(revokes_by((const uint8_t *)"\x30\x84\xff\xff\xff\xff", 6, made.chain));
	assert_false(revokes_by((const uint8_t *)"revoked", 7, made.chain));
}

static void copies_are_their_own(void **state)
{
	const struct ocsp_staple none = {0};
	struct ocsp_staple staple = {.len = 3, .from = 1000, .until = 2000}, copy;

	(void)state;
	staple.der = OPENSSL_memdup("abc", 3);
	assert_int_equal(ocsp_staple_copy(&copy, &staple), 0);
	ocsp_staple_free(&staple);
	assert_null(staple.der);
	assert_int_equal(copy.len, 3);
	assert_memory_equal(copy.der, "abc", 3);
	assert_true(ocsp_staple_is_fresh(&copy, 1500));
	assert_false(ocsp_staple_is_fresh(&copy, 1000 - 301));
	assert_false(ocsp_staple_is_fresh(&copy, 2000 + 301));
	ocsp_staple_free(&copy);
	assert_int_equal(ocsp_staple_copy(&copy, &none), 0);
	assert_null(copy.der);
	assert_false(ocsp_staple_is_fresh(&copy, 1500));
	ocsp_staple_free(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_revoked_is),
		cmocka_unit_test(what_it_says_of_it),
		cmocka_unit_test(about_another),
		cmocka_unit_test(in_its_time_alone),
		cmocka_unit_test(who_may_say_so),
		cmocka_unit_test(without_an_issuer_nobody_can),
		cmocka_unit_test(an_error_is_no_answer),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(copies_are_their_own),
	};

	return cmocka_run_group_tests_name("ocsp_staple", tests, make_all, free_all);
}
