// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/cert_facts.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* UTF-8 of any of the string types of a name (RFC 5280 4.1.2.4). */
static void copy_string(const ASN1_STRING *string, char *out, size_t len)
{
	unsigned char *text = NULL;
	int text_len = string ? ASN1_STRING_to_UTF8(&text, string) : -1;

	if (text_len > 0)
		snprintf(out, len, "%.*s", text_len, (const char *)text);
	OPENSSL_free(text);
}

static void read_common_name(const X509 *cert, struct cert_facts *out)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at >= 0)
		copy_string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), out->name,
			    sizeof(out->name));
}

static void read_names(const X509 *cert, struct cert_facts *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	out->names = names ? (size_t)sk_GENERAL_NAME_num(names) : 0;
	for (int i = 0; i < (int)out->names && !out->name[0]; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			copy_string(name->d.dNSName, out->name, sizeof(out->name));
	}
	GENERAL_NAMES_free(names);
}

/* NIST's names for its curves (FIPS 186-4 D.1.2), as in ca.leaf_key; OpenSSL's for the others. */
static void print_key(X509 *cert, char *out, size_t len)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char group[24];
	size_t group_len;
	const char *nist = NULL;

	if (!key)
		return;
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		snprintf(out, len, "RSA-%d", EVP_PKEY_get_bits(key));
		return;
	}
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &group_len) == 1) {
		nist = EC_curve_nid2nist(OBJ_sn2nid(group));
		snprintf(out, len, "%s", nist ? nist : group);
		return;
	}
	snprintf(out, len, "%s", EVP_PKEY_get0_type_name(key));
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	return time && ASN1_TIME_to_tm(time, &tm) ? (int64_t)timegm(&tm) : 0;
}

void cert_facts_read(X509 *cert, struct cert_facts *out)
{
	memset(out, 0, sizeof(*out));
	read_common_name(cert, out);
	read_names(cert, out);
	print_key(cert, out->key, sizeof(out->key));
	out->from_s = seconds_of(X509_get0_notBefore(cert));
	out->until_s = seconds_of(X509_get0_notAfter(cert));
}
