// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/forge_extensions.h"

#include <errno.h>
#include <openssl/x509v3.h>

#include "pki/leaf_purpose.h"

static bool is_mirrored(int nid)
{
	switch (nid) {
	case NID_basic_constraints:
	case NID_key_usage:
	case NID_ext_key_usage:
	case NID_subject_alt_name:
	case NID_certificate_policies:
	case NID_subject_key_identifier:
	case NID_authority_key_identifier: return true;
	default: return false;
	}
}

int forge_check_origin(X509 *origin)
{
	if (X509_check_purpose(origin, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return -ENOTSUP;
	for (int i = 0; i < X509_get_ext_count(origin); i++) {
		X509_EXTENSION *extension = X509_get_ext(origin, i);

		if (X509_EXTENSION_get_critical(extension) &&
		    !is_mirrored(OBJ_obj2nid(X509_EXTENSION_get_object(extension))))
			return -ENOTSUP;
	}
	return 0;
}

static int add_ext(X509 *leaf, int nid, void *value, bool critical)
{
	return X509_add1_ext_i2d(leaf, nid, value, critical, X509V3_ADD_DEFAULT) == 1 ? 0 : -EIO;
}

/* OBJ_nid2obj gives a static object: freeing it with the stack does nothing. */
static int push_server_auth(EXTENDED_KEY_USAGE *usage)
{
	return sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) ? 0 : -ENOMEM;
}

static bool has_purpose(const EXTENDED_KEY_USAGE *usage, bool (*is)(const ASN1_OBJECT *))
{
	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++)
		if (is(sk_ASN1_OBJECT_value(usage, i)))
			return true;
	return false;
}

static bool is_refused(const ASN1_OBJECT *purpose)
{
	return !leaf_purpose_allowed(purpose);
}

static void drop_refused(EXTENDED_KEY_USAGE *usage)
{
	for (int i = sk_ASN1_OBJECT_num(usage) - 1; i >= 0; i--)
		if (is_refused(sk_ASN1_OBJECT_value(usage, i)))
			ASN1_OBJECT_free(sk_ASN1_OBJECT_delete(usage, i));
}

/* Leave what a leaf may have. Hidden: it is for servers, whatever the origin's is for. */
static int adapt_purposes(EXTENDED_KEY_USAGE *usage, bool hide)
{
	drop_refused(usage);
	if (has_purpose(usage, leaf_purpose_is_server))
		return 0;
	return hide ? push_server_auth(usage) : -ENOTSUP;
}

/* extendedKeyUsage: the origin's, byte for byte where all of it may stay; else serverAuth. */
static int add_extended_key_usage(X509 *leaf, X509 *origin, bool hide)
{
	int critical = -1, err = 0;
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(origin, NID_ext_key_usage, &critical, NULL);
	bool as_it_is = usage && has_purpose(usage, leaf_purpose_is_server) &&
			!has_purpose(usage, is_refused);

	if (as_it_is) {
		int at = X509_get_ext_by_NID(origin, NID_ext_key_usage, -1);

		err = X509_add_ext(leaf, X509_get_ext(origin, at), -1) == 1 ? 0 : -EIO;
	} else {
		if (usage)
			err = adapt_purposes(usage, hide);
		else if (critical != -1 && !hide) /* unreadable, or twice */
			err = -ENOTSUP;
		else if ((usage = sk_ASN1_OBJECT_new_null()))
			err = push_server_auth(usage);
		else
			err = -ENOMEM;
		if (!err)
			err = add_ext(leaf, NID_ext_key_usage, usage, critical == 1);
	}
	EXTENDED_KEY_USAGE_free(usage);
	return err;
}

static bool has_policy(const CERTIFICATEPOLICIES *policies, const ASN1_OBJECT *id)
{
	for (int i = 0; i < sk_POLICYINFO_num(policies); i++)
		if (!OBJ_cmp(sk_POLICYINFO_value(policies, i)->policyid, id))
			return true;
	return false;
}

static int push_policy(CERTIFICATEPOLICIES *policies, const ASN1_OBJECT *id)
{
	POLICYINFO *info = POLICYINFO_new();

	if (info) {
		ASN1_OBJECT_free(info->policyid);
		info->policyid = OBJ_dup(id);
		if (info->policyid && sk_POLICYINFO_push(policies, info))
			return 0;
	}
	POLICYINFO_free(info);
	return -ENOMEM;
}

/* Qualifiers are the origin's CA's own words and addresses; the same policy twice is malformed. */
static int copy_policies(CERTIFICATEPOLICIES *to, const CERTIFICATEPOLICIES *from)
{
	int err = 0;

	for (int i = 0; !err && i < sk_POLICYINFO_num(from); i++) {
		const ASN1_OBJECT *id = sk_POLICYINFO_value(from, i)->policyid;

		if (!has_policy(to, id))
			err = push_policy(to, id);
	}
	return err;
}

/*
 * certificatePolicies: their OIDs alone. Clients give them a meaning below CAs that they know it
 * of, which is never ours (EV). Ones that nobody needs to understand may be left out.
 */
static int add_policies(X509 *leaf, X509 *origin, bool hide)
{
	int critical = -1, err;
	CERTIFICATEPOLICIES *theirs =
		X509_get_ext_d2i(origin, NID_certificate_policies, &critical, NULL);
	int len = theirs ? sk_POLICYINFO_num(theirs) : 0;
	CERTIFICATEPOLICIES *ours;

	if (len < 1 || len > LEAF_POLICIES_MAX) {
		CERTIFICATEPOLICIES_free(theirs);
		return critical == 1 && !hide ? -ENOTSUP : 0;
	}
	ours = sk_POLICYINFO_new_null();
	err = ours ? copy_policies(ours, theirs) : -ENOMEM;
	if (!err)
		err = add_ext(leaf, NID_certificate_policies, ours, critical == 1);
	CERTIFICATEPOLICIES_free(ours);
	CERTIFICATEPOLICIES_free(theirs);
	return err;
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

int forge_add_extensions(X509 *leaf, const struct forge_request *request)
{
	int err = add_basic_constraints(leaf, request->origin);

	if (!err)
		err = add_key_usage(leaf, request->leaf_key);
	if (!err)
		err = add_extended_key_usage(leaf, request->origin, request->hide);
	if (!err)
		err = add_policies(leaf, request->origin, request->hide);
	if (!err)
		err = add_subject_key_id(leaf);
	if (!err)
		err = add_authority_key_id(leaf, request->ca->cert);
	return err;
}
