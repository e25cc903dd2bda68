// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/revoked_response.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdbool.h>

/* By SHA-1, which all clients know certificates by (RFC 5019 2.1.1); it is no signature's. */
static bool add_status(OCSP_BASICRESP *basic, X509 *ca_cert, X509 *leaf,
		       const struct revocation *revocation, time_t now)
{
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, ca_cert);
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)revocation->at);
	ASN1_TIME *from = ASN1_TIME_set(NULL, now - REVOKED_RESPONSE_BEFORE_S);
	ASN1_TIME *until = ASN1_TIME_set(NULL, now + REVOKED_RESPONSE_AFTER_S);
	bool added = id && at && from && until &&
		     OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_REVOKED,
					    revocation->reason, at, from, until);

	ASN1_TIME_free(until);
	ASN1_TIME_free(from);
	ASN1_TIME_free(at);
	OCSP_CERTID_free(id);
	return added;
}

static int encode(OCSP_BASICRESP *basic, uint8_t **der, size_t *len)
{
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	int bytes;

	*der = NULL;
	bytes = response ? i2d_OCSP_RESPONSE(response, der) : -1;
	OCSP_RESPONSE_free(response);
	if (bytes <= 0)
		return -EIO;
	*len = (size_t)bytes;
	return 0;
}

int revoked_response_make(X509 *ca_cert, EVP_PKEY *key, const EVP_MD *digest, X509 *leaf,
			  const struct revocation *revocation, time_t now, uint8_t **der,
			  size_t *len)
{
	OCSP_BASICRESP *basic;
	int err = -EIO;

	ERR_set_mark();
	basic = OCSP_BASICRESP_new();
	/* The signer is named by its subject: by its key alone GnuTLS 3.7 does not find it. */
	if (basic && add_status(basic, ca_cert, leaf, revocation, now) &&
	    OCSP_basic_sign(basic, ca_cert, key, digest, NULL, OCSP_NOCERTS) == 1)
		err = encode(basic, der, len);
	OCSP_BASICRESP_free(basic);
	ERR_pop_to_mark();
	return err;
}
