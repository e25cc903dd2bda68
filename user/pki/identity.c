// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/identity.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "pki/pem_file.h"

#define NAME_MAX_LEN 253 /* RFC 1035 2.3.4 */

/* What the one line for the user needs. */
struct complaint {
	char *text;
	size_t len;
};

static int no_memory(struct complaint *to)
{
	snprintf(to->text, to->len, "out of memory");
	return -ENOMEM;
}

/* --- names --- */

static bool is_name_char(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '_' || c == '.';
}

/* A DNS name as it is compared: lower case, no dot at the end. False: it is none. */
static bool normalize(const char *text, size_t len, char out[NAME_MAX_LEN + 1])
{
	size_t i = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len > NAME_MAX_LEN)
		return false;
	if (len > 2 && text[0] == '*' && text[1] == '.') {
		out[i++] = '*';
		out[i++] = '.';
	}
	for (; i < len; i++) {
		if (!is_name_char((unsigned char)text[i]))
			return false;
		out[i] = (char)tolower((unsigned char)text[i]);
	}
	out[len] = '\0';
	return out[0] != '.';
}

static int name_add(struct identity *identity, const char *text, size_t len)
{
	char name[NAME_MAX_LEN + 1];
	char **grown;

	if (!normalize(text, len, name))
		return 0; /* no client can ask for it */
	grown = realloc(identity->names, (identity->names_len + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	identity->names = grown;
	grown[identity->names_len] = strdup(name);
	if (!grown[identity->names_len])
		return -ENOMEM;
	identity->names_len++;
	return 0;
}

static int names_from_san(struct identity *identity)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(identity->cert, NID_subject_alt_name, NULL, NULL);
	int err = 0;

	for (int i = 0; !err && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			err = name_add(identity,
				       (const char *)ASN1_STRING_get0_data(name->d.dNSName),
				       (size_t)ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	return err;
}

static int name_from_subject(struct identity *identity)
{
	X509_NAME *subject = X509_get_subject_name(identity->cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int len, err;

	if (at < 0)
		return 0;
	len = ASN1_STRING_to_UTF8(&text,
				  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0)
		return 0;
	err = name_add(identity, (const char *)text, (size_t)len);
	OPENSSL_free(text);
	return err;
}

static int names_find(struct identity *identity, const struct identity_source *source,
		      struct complaint *to)
{
	int err = 0;

	for (size_t i = 0; !err && i < source->names_len; i++)
		err = name_add(identity, source->names[i], strlen(source->names[i]));
	if (!err && !source->names_len)
		err = names_from_san(identity);
	if (!err && !source->names_len && !identity->names_len)
		err = name_from_subject(identity);
	if (err)
		return no_memory(to);
	if (identity->names_len || identity->is_default)
		return 0;
	snprintf(to->text, to->len,
		 "%s: no host name in the certificate; give \"names\", or make it the \"default\"",
		 source->cert);
	return -EINVAL;
}

/* --- certificate and key --- */

static int kind_find(struct identity *identity, const struct identity_source *source,
		     struct complaint *to)
{
	switch (EVP_PKEY_get_base_id(identity->key)) {
	case EVP_PKEY_RSA: identity->kind = IDENTITY_RSA; return 0;
	case EVP_PKEY_EC: identity->kind = IDENTITY_ECDSA; return 0;
	case EVP_PKEY_ED25519: identity->kind = IDENTITY_ED25519; return 0;
	case EVP_PKEY_ED448: identity->kind = IDENTITY_ED448; return 0;
	default: break;
	}
	snprintf(to->text, to->len,
		 "%s: a key of this kind cannot be used; expected RSA, EC, Ed25519 or Ed448",
		 source->key);
	return -EINVAL;
}

/*
 * Does OpenSSL serve it (length of the key, digest of the signature, SSL_CTX_set_security_level)?
 */
static int check_usable(const struct identity *identity, const struct identity_source *source,
			struct complaint *to)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool ok = ctx && SSL_CTX_use_cert_and_key(ctx, identity->cert, identity->key,
						  identity->chain, 1) == 1;
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	SSL_CTX_free(ctx);
	if (ok)
		return 0;
	if (!ctx)
		return no_memory(to);
	snprintf(to->text, to->len, "%s: OpenSSL refuses to serve this certificate: %s",
		 source->cert, why ? why : "unknown");
	return -EINVAL;
}

static int files_load(struct identity *identity, const struct identity_source *source,
		      struct complaint *to)
{
	int err = pem_file_certs(source->cert, &identity->chain, to->text, to->len);

	if (err)
		return err;
	identity->cert = sk_X509_shift(identity->chain);
	err = pem_file_key(source->key, &identity->key, to->text, to->len);
	if (err)
		return err;
	if (X509_check_private_key(identity->cert, identity->key) != 1) {
		snprintf(to->text, to->len, "%s: this key does not belong to the certificate in %s",
			 source->key, source->cert);
		return -EINVAL;
	}
	if (fingerprint_of(identity->cert, identity->fingerprint))
		return no_memory(to);
	err = kind_find(identity, source, to);
	return err ? err : check_usable(identity, source, to);
}

static int load(struct identity *identity, const struct identity_source *source,
		struct complaint *to)
{
	int err;

	identity->is_default = source->is_default;
	err = files_load(identity, source, to);
	if (!err)
		err = names_find(identity, source, to);
	if (!err && source->ocsp)
		ocsp_staple_load(source->ocsp, identity->cert, identity->chain, &identity->staple,
				 identity->staple_error, sizeof(identity->staple_error));
	return err;
}

int identity_load(const struct identity_source *source, struct identity **out, char *error,
		  size_t error_len)
{
	struct complaint to = {.text = error, .len = error_len};
	struct identity *identity = calloc(1, sizeof(*identity));
	int err;

	if (!identity)
		return no_memory(&to);
	ERR_set_mark();
	err = load(identity, source, &to);
	ERR_pop_to_mark();
	if (err)
		identity_free(identity);
	else
		*out = identity;
	return err;
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	X509_free(identity->cert);
	EVP_PKEY_free(identity->key);
	sk_X509_pop_free(identity->chain, X509_free);
	for (size_t i = 0; i < identity->names_len; i++)
		free(identity->names[i]);
	free(identity->names);
	ocsp_staple_free(&identity->staple);
	free(identity);
}

/* --- what is worth a line --- */

/* A wildcard is asked for by a name that it covers; partial wildcards are none (RFC 9525 6.3). */
static bool is_for(X509 *cert, const char *name)
{
	char example[NAME_MAX_LEN + 8];

	snprintf(example, sizeof(example), "%s%s", name[0] == '*' ? "any" : "",
		 name[0] == '*' ? name + 1 : name);
	return X509_check_host(cert, example, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

void identity_warn(const struct identity *identity, const struct identity_source *source)
{
	X509 *above = sk_X509_num(identity->chain) > 0 ? sk_X509_value(identity->chain, 0) : NULL;

	if (X509_cmp_current_time(X509_get0_notBefore(identity->cert)) >= 0)
		log_warn("%s: the certificate is not valid yet; clients will refuse it (is the "
			 "clock right?)",
			 source->cert);
	if (X509_cmp_current_time(X509_get0_notAfter(identity->cert)) <= 0)
		log_warn("%s: the certificate has expired; clients will refuse it", source->cert);
	for (size_t i = 0; i < source->names_len; i++)
		if (!is_for(identity->cert, source->names[i]))
			log_warn("%s: the certificate is not for %s; clients will refuse it",
				 source->cert, source->names[i]);
	if (above && X509_check_issued(above, identity->cert) != X509_V_OK)
		log_warn("%s: the second certificate did not issue the first; clients may not find "
			 "the way to their root",
			 source->cert);
	if (identity->staple_error[0])
		log_warn("%s; nothing is stapled", identity->staple_error);
}
