// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/forge_names.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DNS_LABEL_MAX 63

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
 * The SNI as a dNSName. False when it is none (RFC 5280 4.2.1.6, RFC 1034 3.5): an address literal
 * ends in a label of digits, which no top-level domain is (RFC 3696 2).
 */
static bool dns_name_from_sni(const char *sni, char out[FORGE_NAME_MAX + 1])
{
	size_t len = sni ? strlen(sni) : 0;
	const char *label;

	if (len > 1 && sni[len - 1] == '.')
		len--;
	if (len < 1 || len > FORGE_NAME_MAX)
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
static bool covered(X509 *cert, const char *name, bool subject_counts)
{
	const unsigned int subject = subject_counts ? 0 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

	return X509_check_host(cert, name, 0, subject | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

bool forge_name_missing(X509 *origin, const char *sni, bool subject_counts,
			char name[FORGE_NAME_MAX + 1])
{
	bool missing;

	/* an unreadable name must not turn up in the error queue of the next TLS call */
	ERR_set_mark();
	missing = dns_name_from_sni(sni, name) && !covered(origin, name, subject_counts);
	ERR_pop_to_mark();
	if (!missing)
		name[0] = '\0';
	return missing;
}

static int push_dns_name(GENERAL_NAMES *names, const char *name)
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

static bool is_nameless(const X509 *cert)
{
	return X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
}

/* The bytes as they are: encoding them anew could change what is no DER. */
static int copy_extension(X509 *leaf, X509 *origin, int at)
{
	X509_EXTENSION *copy = X509_EXTENSION_dup(X509_get_ext(origin, at));
	int err = copy ? 0 : -ENOMEM;

	if (!err && is_nameless(leaf) && !X509_EXTENSION_set_critical(copy, 1))
		err = -EIO;
	if (!err && X509_add_ext(leaf, copy, -1) != 1)
		err = -EIO;
	X509_EXTENSION_free(copy);
	return err;
}

static int add_with(X509 *leaf, GENERAL_NAMES *names, const char *name, bool critical)
{
	int err = push_dns_name(names, name);

	if (!err && X509_add1_ext_i2d(leaf, NID_subject_alt_name, names,
				      critical || is_nameless(leaf), X509V3_ADD_DEFAULT) != 1)
		err = -EIO;
	return err;
}

int forge_add_names(X509 *leaf, X509 *origin, const char *name)
{
	int critical = -1, err = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(origin, NID_subject_alt_name, &critical, NULL);

	if (!names && critical != -1) /* there, but unreadable or twice */
		return -ENOTSUP;
	if (name && name[0]) {
		if (!names)
			names = sk_GENERAL_NAME_new_null();
		err = names ? add_with(leaf, names, name, critical == 1) : -ENOMEM;
	} else if (names) {
		err = copy_extension(leaf, origin,
				     X509_get_ext_by_NID(origin, NID_subject_alt_name, -1));
	}
	GENERAL_NAMES_free(names);
	return err;
}
