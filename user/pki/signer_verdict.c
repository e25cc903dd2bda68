// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/signer_verdict.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#include "pki/leaf_purpose.h"

#define SERIAL_MAX 20 /* octets, RFC 5280 4.1.2.2 */

/* A signature of no bits: BIT STRING, length 1, no unused bits. */
static const uint8_t no_signature[] = {0x03, 0x01, 0x00};

const char *signer_verdict_text(enum signer_verdict verdict)
{
#define SIGNER_VERDICT_TEXT(id, text) [SIGNER_##id] = text,
	static const char *const texts[] = {SIGNER_VERDICTS(SIGNER_VERDICT_TEXT)};
#undef SIGNER_VERDICT_TEXT
	return (unsigned int)verdict < SIGNER_VERDICT_COUNT ? texts[verdict] : "unknown";
}

/* SEQUENCE { tbs, algorithm, signature }, RFC 5280 4.1: OpenSSL reads whole certificates alone. */
static uint8_t *wrap(const uint8_t *tbs, size_t tbs_len, const X509_ALGOR *algorithm, long *len)
{
	int algorithm_len = i2d_X509_ALGOR(algorithm, NULL);
	int inner = (int)tbs_len + algorithm_len + (int)sizeof(no_signature);
	uint8_t *der, *at;

	if (algorithm_len <= 0)
		return NULL;
	*len = ASN1_object_size(1, inner, V_ASN1_SEQUENCE);
	der = at = OPENSSL_malloc((size_t)*len);
	if (!der)
		return NULL;
	ASN1_put_object(&at, 1, inner, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(at, tbs, tbs_len);
	at += tbs_len;
	i2d_X509_ALGOR(algorithm, &at);
	memcpy(at, no_signature, sizeof(no_signature));
	return der;
}

static bool encodes_to(X509 *cert, const uint8_t *tbs, size_t len)
{
	uint8_t *again = NULL;
	int again_len = i2d_re_X509_tbs(cert, &again);
	bool same = again_len > 0 && (size_t)again_len == len && !memcmp(again, tbs, len);

	OPENSSL_free(again);
	return same;
}

X509 *signer_tbs_read(const uint8_t *tbs, size_t len, const X509_ALGOR *algorithm)
{
	long der_len = 0;
	const uint8_t *at;
	uint8_t *der;
	X509 *cert;

	if (len > SIGNER_TBS_MAX)
		return NULL;
	der = wrap(tbs, len, algorithm, &der_len);
	if (!der)
		return NULL;
	at = der;
	cert = d2i_X509(NULL, &at, der_len);
	if (cert && (at != der + der_len || !encodes_to(cert, tbs, len))) {
		X509_free(cert);
		cert = NULL;
	}
	OPENSSL_free(der);
	return cert;
}

/* Byte for byte: X509_NAME_cmp would take another spelling for the same name. */
static bool same_name(const X509_NAME *a, const X509_NAME *b)
{
	const uint8_t *der_a, *der_b;
	size_t len_a, len_b;

	return X509_NAME_get0_der(a, &der_a, &len_a) && X509_NAME_get0_der(b, &der_b, &len_b) &&
	       len_a == len_b && !memcmp(der_a, der_b, len_a);
}

static bool serial_ok(const X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	int len = ASN1_STRING_length(serial);
	const uint8_t *bytes = ASN1_STRING_get0_data(serial);

	/* the first octet of twenty must leave room for the sign (X.690 8.3) */
	return ASN1_STRING_type(serial) == V_ASN1_INTEGER && len > 0 &&
	       (len < SERIAL_MAX || (len == SERIAL_MAX && bytes[0] < 0x80)) &&
	       (len > 1 || bytes[0] != 0);
}

/* ASN1_TIME_compare: -2 a time that cannot be read. */
static bool within(const ASN1_TIME *time, const X509 *ca_cert)
{
	int from = ASN1_TIME_compare(X509_get0_notBefore(ca_cert), time);
	int until = ASN1_TIME_compare(time, X509_get0_notAfter(ca_cert));

	return (from == 0 || from == -1) && (until == 0 || until == -1);
}

/* Nothing but what forge.c puts into a leaf, each once. */
static bool extensions_ok(const X509 *cert)
{
	static const int known[] = {NID_basic_constraints,
				    NID_key_usage,
				    NID_ext_key_usage,
				    NID_subject_key_identifier,
				    NID_authority_key_identifier,
				    NID_subject_alt_name,
				    NID_certificate_policies};
	unsigned int seen = 0;

	for (int i = 0; i < X509_get_ext_count(cert); i++) {
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(X509_get_ext(cert, i)));
		size_t k = 0;

		while (k < sizeof(known) / sizeof(known[0]) && known[k] != nid)
			k++;
		if (k == sizeof(known) / sizeof(known[0]) || seen & 1U << k)
			return false;
		seen |= 1U << k;
	}
	return true;
}

/* Without extendedKeyUsage a certificate is for everything: forged ones always have one. */
static bool purpose_ok(const X509 *cert)
{
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool allowed = true, server = false;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
		const ASN1_OBJECT *purpose = sk_ASN1_OBJECT_value(usage, i);

		allowed &= leaf_purpose_allowed(purpose);
		server |= leaf_purpose_is_server(purpose);
	}
	EXTENDED_KEY_USAGE_free(usage);
	return allowed && server;
}

static bool policies_ok(const X509 *cert)
{
	int critical;
	CERTIFICATEPOLICIES *policies =
		X509_get_ext_d2i(cert, NID_certificate_policies, &critical, NULL);
	bool ok = policies ? leaf_policies_allowed(policies) : critical == -1; /* -1: none */

	CERTIFICATEPOLICIES_free(policies);
	return ok;
}

static bool key_ok(const struct signer_rules *rules, const X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);

	/* 1: the same; below 0: of another type, or not comparable */
	return key && EVP_PKEY_eq(key, X509_get0_pubkey(rules->ca_cert)) != 1;
}

static enum signer_verdict judge_fields(const struct signer_rules *rules, const X509 *cert)
{
	const X509_NAME *ca = X509_get_subject_name(rules->ca_cert);

	if (X509_get_version(cert) != X509_VERSION_3)
		return SIGNER_VERSION;
	if (!same_name(X509_get_issuer_name(cert), ca))
		return SIGNER_ISSUER;
	if (X509_NAME_cmp(X509_get_subject_name(cert), ca) == 0)
		return SIGNER_SUBJECT;
	if (X509_ALGOR_cmp(X509_get0_tbs_sigalg(cert), rules->algorithm) != 0)
		return SIGNER_ALGORITHM;
	if (!serial_ok(cert))
		return SIGNER_SERIAL;
	if (!within(X509_get0_notBefore(cert), rules->ca_cert) ||
	    !within(X509_get0_notAfter(cert), rules->ca_cert))
		return SIGNER_VALIDITY;
	return key_ok(rules, cert) ? SIGNER_SIGNED : SIGNER_KEY;
}

static enum signer_verdict judge_extensions(X509 *cert)
{
	uint32_t flags;

	if (!extensions_ok(cert))
		return SIGNER_EXTENSION;
	flags = X509_get_extension_flags(cert);
	/* X509_check_ca(3): any other answer than 0 is a CA of some kind. */
	if (flags & EXFLAG_CA)
		return SIGNER_IS_CA;
	if ((flags & EXFLAG_KUSAGE) &&
	    (X509_get_key_usage(cert) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)))
		return SIGNER_KEY_USAGE;
	if (flags & EXFLAG_INVALID)
		return SIGNER_EXTENSION;
	if (X509_check_ca(cert) != 0)
		return SIGNER_IS_CA;
	if (!policies_ok(cert))
		return SIGNER_POLICIES;
	return purpose_ok(cert) ? SIGNER_SIGNED : SIGNER_PURPOSE;
}

static enum signer_verdict judge(const struct signer_rules *rules, X509 *cert)
{
	enum signer_verdict verdict = judge_fields(rules, cert);

	return verdict == SIGNER_SIGNED ? judge_extensions(cert) : verdict;
}

enum signer_verdict signer_judge(const struct signer_rules *rules, const uint8_t *tbs, size_t len,
				 X509 **out)
{
	enum signer_verdict verdict = SIGNER_MALFORMED;
	X509 *cert;

	if (len > SIGNER_TBS_MAX)
		return SIGNER_TOO_LARGE;
	ERR_set_mark();
	cert = signer_tbs_read(tbs, len, rules->algorithm);
	if (cert)
		verdict = judge(rules, cert);
	ERR_pop_to_mark();
	if (verdict != SIGNER_SIGNED) {
		X509_free(cert);
		return verdict;
	}
	*out = cert;
	return verdict;
}

enum signer_verdict signer_judge_revocation(const struct signer_rules *rules, const X509 *leaf,
					    const struct revocation *revocation, time_t now)
{
	if (revocation->at < 0 || revocation->at > now)
		return SIGNER_REVOCATION;
	if (revocation->reason != REVOCATION_NO_REASON && !REVOCATION_REASON_OK(revocation->reason))
		return SIGNER_REVOCATION;
	if (!ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf), X509_get0_serialNumber(rules->ca_cert)))
		return SIGNER_REVOCATION;
	return SIGNER_SIGNED;
}
