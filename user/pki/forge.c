// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/forge.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#define SERIAL_LEN    16
#define DNS_NAME_MAX  253 /* RFC 1035 2.3.4, in text without the root's dot */
#define DNS_LABEL_MAX 63

int forge_make_key(const char *type, EVP_PKEY **out)
{
	EVP_PKEY *key;

	if (!strcmp(type, "P-256") || !strcmp(type, "P-384"))
		key = EVP_EC_gen(type);
	else if (!strcmp(type, "RSA-2048"))
		key = EVP_RSA_gen(2048);
	else if (!strcmp(type, "RSA-3072"))
		key = EVP_RSA_gen(3072);
	else
		return -EINVAL;
	if (!key)
		return -EIO;
	*out = key;
	return 0;
}

/* One label: letters, digits, inner hyphens; underscores too, which private zones are full of. */
static bool dns_label_ok(const char *label, size_t len)
{
	if (len < 1 || len > DNS_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		if (c > 0x7f || (!isalnum(c) && c != '-' && c != '_'))
			return false;
	}
	return true;
}

static bool all_digits(const char *text, size_t len)
{
	return strspn(text, "0123456789") >= len;
}

/*
 * The SNI as a dNSName: lower case, without a last dot. False when it is none (RFC 5280 4.2.1.6,
 * RFC 1034 3.5): an address literal ends in a label of digits, which no top-level domain is (RFC
 * 3696 2).
 */
static bool dns_name_from_sni(const char *sni, char out[DNS_NAME_MAX + 1])
{
	size_t len = sni ? strlen(sni) : 0;
	const char *label;

	if (len > 1 && sni[len - 1] == '.')
		len--;
	if (len < 1 || len > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)sni[i]);
	out[len] = '\0';

	for (label = out;; label++) {
		size_t label_len = strcspn(label, ".");

		if (!dns_label_ok(label, label_len))
			return false;
		if (label[label_len] == '\0')
			return !all_digits(label, label_len);
		label += label_len;
	}
}

/* Is the name covered by a dNSName of the certificate, by RFC 6125 6.4 (whole left-most wildcards
 * only)? */
static bool covered(X509 *cert, const char *name)
{
	return X509_check_host(cert, name, 0,
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

static int add_ext(X509 *leaf, int nid, void *value, bool critical)
{
	return X509_add1_ext_i2d(leaf, nid, value, critical, X509V3_ADD_DEFAULT) == 1 ? 0 : -EIO;
}

static int add_dns_name(GENERAL_NAMES *names, const char *name)
{
	GENERAL_NAME *entry = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (!entry || !text || !ASN1_STRING_set(text, name, -1)) {
		GENERAL_NAME_free(entry);
		ASN1_IA5STRING_free(text);
		return -ENOMEM;
	}
	GENERAL_NAME_set0_value(entry, GEN_DNS, text);
	if (!sk_GENERAL_NAME_push(names, entry)) {
		GENERAL_NAME_free(entry);
		return -ENOMEM;
	}
	return 0;
}

/*
 * subjectAltName: the origin's names in their order, then the SNI if none of them covers it.
 * Critical as the origin has it, and always when the subject is empty (RFC 5280 4.2.1.6). None at
 * all when there is no name to put in it.
 */
static int add_subject_alt_name(X509 *leaf, X509 *origin, const char *sni)
{
	char dns_name[DNS_NAME_MAX + 1];
	int critical = -1, err = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(origin, NID_subject_alt_name, &critical, NULL);

	if (!names && critical != -1) /* there, but unreadable or twice */
		return -EIO;
	if (!names)
		names = sk_GENERAL_NAME_new_null();
	if (!names)
		return -ENOMEM;
	if (dns_name_from_sni(sni, dns_name) && !covered(origin, dns_name))
		err = add_dns_name(names, dns_name);
	if (!err && sk_GENERAL_NAME_num(names) > 0)
		err = add_ext(leaf, NID_subject_alt_name, names,
			      critical == 1 ||
				      X509_NAME_entry_count(X509_get_subject_name(leaf)) == 0);
	GENERAL_NAMES_free(names);
	return err;
}

static int add_server_auth(X509 *leaf)
{
	EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
	int err = -ENOMEM;

	/* OBJ_nid2obj gives a static object: freeing it with the stack does nothing */
	if (usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)))
		err = add_ext(leaf, NID_ext_key_usage, usage, false);
	EXTENDED_KEY_USAGE_free(usage);
	return err;
}

/* extendedKeyUsage: the origin's, byte for byte, else serverAuth. */
static int add_extended_key_usage(X509 *leaf, X509 *origin)
{
	int at = X509_get_ext_by_NID(origin, NID_ext_key_usage, -1);

	if (at < 0)
		return add_server_auth(leaf);
	return X509_add_ext(leaf, X509_get_ext(origin, at), -1) == 1 ? 0 : -EIO;
}

/* basicConstraints: always CA:FALSE, critical as the origin has it; critical where it has none. */
static int add_basic_constraints(X509 *leaf, X509 *origin)
{
	int at = X509_get_ext_by_NID(origin, NID_basic_constraints, -1);
	bool critical = at < 0 || X509_EXTENSION_get_critical(X509_get_ext(origin, at));
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	int err;

	if (!constraints)
		return -ENOMEM;
	err = add_ext(leaf, NID_basic_constraints, constraints, critical);
	BASIC_CONSTRAINTS_free(constraints);
	return err;
}

/* keyUsage of a TLS server (RFC 5280 4.2.1.3): an RSA key may also decrypt a premaster secret. */
static int add_key_usage(X509 *leaf, EVP_PKEY *leaf_key)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	int err = -ENOMEM;

	if (usage && ASN1_BIT_STRING_set_bit(usage, 0, 1) /* digitalSignature */ &&
	    (EVP_PKEY_get_base_id(leaf_key) != EVP_PKEY_RSA ||
	     ASN1_BIT_STRING_set_bit(usage, 2, 1) /* keyEncipherment */))
		err = add_ext(leaf, NID_key_usage, usage, true);
	ASN1_BIT_STRING_free(usage);
	return err;
}

/* The SHA-1 of a certificate's public key, without tag and length (RFC 5280 4.2.1.2, method 1).
 * NULL: failed. */
static ASN1_OCTET_STRING *key_identifier(const X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();

	if (id && X509_pubkey_digest(cert, EVP_sha1(), digest, &len) &&
	    ASN1_OCTET_STRING_set(id, digest, (int)len))
		return id;
	ASN1_OCTET_STRING_free(id);
	return NULL;
}

static int add_subject_key_id(X509 *leaf)
{
	ASN1_OCTET_STRING *id = key_identifier(leaf);
	int err = id ? add_ext(leaf, NID_subject_key_identifier, id, false) : -EIO;

	ASN1_OCTET_STRING_free(id);
	return err;
}

/* authorityKeyIdentifier: the CA's own subjectKeyIdentifier, else what it would be (RFC
 * 5280 4.2.1.1). */
static int add_authority_key_id(X509 *leaf, X509 *ca_cert)
{
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(ca_cert);
	AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
	int err = -ENOMEM;

	if (akid) {
		akid->keyid = own ? ASN1_OCTET_STRING_dup(own) : key_identifier(ca_cert);
		err = akid->keyid ? add_ext(leaf, NID_authority_key_identifier, akid, false) : -EIO;
	}
	AUTHORITY_KEYID_free(akid);
	return err;
}

/* 128 random bits, never zero; as a positive INTEGER at most 17 of the 20 octets that RFC
 * 5280 4.1.2.2 allows. */
static int set_serial(X509 *leaf)
{
	unsigned char bytes[SERIAL_LEN];
	BIGNUM *number = NULL;
	int err = -EIO;

	do {
		if (RAND_bytes(bytes, sizeof(bytes)) != 1)
			return -EIO;
		BN_free(number);
		number = BN_bin2bn(bytes, sizeof(bytes), NULL);
		if (!number)
			return -ENOMEM;
	} while (BN_is_zero(number));
	if (BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf)))
		err = 0;
	BN_free(number);
	return err;
}

/*
 * A time moved into the CA's validity, in the form of RFC 5280 4.1.2.5. Caller owns the result;
 * NULL: a time cannot be read.
 */
static ASN1_TIME *clip_time(const ASN1_TIME *time, const ASN1_TIME *from, const ASN1_TIME *until)
{
	int below = ASN1_TIME_compare(time, from);
	int above = ASN1_TIME_compare(time, until);
	ASN1_TIME *clipped;

	if (below == -2 || above == -2)
		return NULL;
	clipped = ASN1_STRING_dup(below < 0 ? from : above > 0 ? until : time);
	if (clipped && ASN1_TIME_normalize(clipped) == 1)
		return clipped;
	ASN1_TIME_free(clipped);
	return NULL;
}

/*
 * The origin's validity, each end moved into the CA's. Since the CA is valid now, a leaf of an
 * expired or future origin is expired or future too.
 */
static int set_validity(X509 *leaf, const X509 *origin, const X509 *ca_cert)
{
	const ASN1_TIME *from = X509_get0_notBefore(ca_cert);
	const ASN1_TIME *until = X509_get0_notAfter(ca_cert);
	ASN1_TIME *start = clip_time(X509_get0_notBefore(origin), from, until);
	ASN1_TIME *end = clip_time(X509_get0_notAfter(origin), from, until);
	int err = start && end && X509_set1_notBefore(leaf, start) == 1 &&
				  X509_set1_notAfter(leaf, end) == 1
			  ? 0
			  : -EIO;

	ASN1_TIME_free(start);
	ASN1_TIME_free(end);
	return err;
}

/* X509_set_subject_name copies the encoding that the name was read from: order, sets and string
 * types stay. */
static int set_fields(X509 *leaf, const struct ca *ca, X509 *origin, EVP_PKEY *leaf_key)
{
	int err = set_serial(leaf);

	if (!err)
		err = set_validity(leaf, origin, ca->cert);
	if (err)
		return err;
	if (X509_set_version(leaf, X509_VERSION_3) != 1 ||
	    X509_set_issuer_name(leaf, X509_get_subject_name(ca->cert)) != 1 ||
	    X509_set_subject_name(leaf, X509_get_subject_name(origin)) != 1 ||
	    X509_set_pubkey(leaf, leaf_key) != 1)
		return -EIO;
	return 0;
}

static int add_extensions(X509 *leaf, const struct ca *ca, X509 *origin, const char *sni,
			  EVP_PKEY *leaf_key)
{
	int err = add_basic_constraints(leaf, origin);

	if (!err)
		err = add_key_usage(leaf, leaf_key);
	if (!err)
		err = add_extended_key_usage(leaf, origin);
	if (!err)
		err = add_subject_key_id(leaf);
	if (!err)
		err = add_authority_key_id(leaf, ca->cert);
	if (!err)
		err = add_subject_alt_name(leaf, origin, sni);
	return err;
}

static int make_leaf(X509 *leaf, const struct ca *ca, X509 *origin, const char *sni,
		     EVP_PKEY *leaf_key)
{
	int err = set_fields(leaf, ca, origin, leaf_key);

	return err ? err : add_extensions(leaf, ca, origin, sni, leaf_key);
}

/* What is to be signed names the algorithm of the signature (RFC 5280 4.1.2.3). */
static int encode(X509 *leaf, const X509_ALGOR *algorithm, uint8_t **tbs, size_t *tbs_len)
{
	uint8_t *der = NULL;
	int len;

	/* OpenSSL sets it in signing alone, which is not done here. */
	if (X509_ALGOR_copy((X509_ALGOR *)X509_get0_tbs_sigalg(leaf), algorithm) != 1)
		return -ENOMEM;
	len = i2d_re_X509_tbs(leaf, &der);
	if (len <= 0)
		return -EIO;
	*tbs = der;
	*tbs_len = (size_t)len;
	return 0;
}

int forge_leaf(const struct ca *ca, const X509_ALGOR *algorithm, X509 *origin, const char *sni,
	       EVP_PKEY *leaf_key, uint8_t **tbs, size_t *tbs_len)
{
	X509 *leaf = X509_new();
	int err;

	if (!leaf)
		return -ENOMEM;
	/* what fails here must not turn up in the error queue of the connection's next TLS call */
	ERR_set_mark();
	err = make_leaf(leaf, ca, origin, sni, leaf_key);
	if (!err)
		err = encode(leaf, algorithm, tbs, tbs_len);
	ERR_pop_to_mark();
	X509_free(leaf);
	return err;
}
