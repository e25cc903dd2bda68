// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/forge.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "pki/forge_extensions.h"
#include "pki/forge_names.h"
#include "pki/forge_validity.h"

#define SERIAL_LEN 16

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

/* X509_set_subject_name copies the encoding that the name was read from: order, sets and string
 * types stay. */
static int set_fields(X509 *leaf, const struct forge_request *request)
{
	const X509 *ca_cert = request->ca->cert;
	int err = set_serial(leaf);

	if (!err)
		err = forge_set_validity(leaf, request->origin, ca_cert, request->hide);
	if (err)
		return err;
	if (X509_set_version(leaf, X509_VERSION_3) != 1 ||
	    X509_set_issuer_name(leaf, X509_get_subject_name(ca_cert)) != 1 ||
	    X509_set_subject_name(leaf, X509_get_subject_name(request->origin)) != 1 ||
	    X509_set_pubkey(leaf, request->leaf_key) != 1)
		return -EIO;
	return 0;
}

static int make_leaf(X509 *leaf, const struct forge_request *request)
{
	int err = set_fields(leaf, request);

	if (!err)
		err = forge_add_extensions(leaf, request);
	if (!err)
		err = forge_add_names(leaf, request->origin, request->name);
	return err;
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

int forge_leaf(const struct forge_request *request, uint8_t **tbs, size_t *tbs_len)
{
	X509 *leaf = X509_new();
	int err;

	if (!leaf)
		return -ENOMEM;
	/* what fails here must not turn up in the error queue of the connection's next TLS call */
	ERR_set_mark();
	err = request->hide ? 0 : forge_check_origin(request->origin);
	if (!err)
		err = make_leaf(leaf, request);
	if (!err)
		err = encode(leaf, request->algorithm, tbs, tbs_len);
	ERR_pop_to_mark();
	X509_free(leaf);
	return err;
}
