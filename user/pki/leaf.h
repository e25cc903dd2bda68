/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_H
#define KSPLIT_PKI_LEAF_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"
#include "pki/leaf_keys.h"
#include "pki/revocation.h"
#include "pki/signed_leaf.h"

#define FINGERPRINT_LEN 32 /* SHA-256 of the DER certificate */

/* A forged leaf, shared by connections and workers; immutable; freed with its last reference. */
struct leaf {
	X509 *cert;
	EVP_PKEY *key;
	uint8_t fingerprint[FINGERPRINT_LEN];
	size_t size;     /* bytes of its DER, and of the staple's */
	bool outside;    /* a name is outside the CA's constraints: clients would refuse it */
	bool untrusted;  /* signed by the twin (pki/twin.h): shown alone, without the CA's chain */
	uint8_t *staple; /* to be shown with it: that it is revoked; NULL: it is not */
	size_t staple_len;
};

/* What is to be shown to a client. Nothing is owned; used during the call alone. */
struct leaf_wish {
	X509 *origin;
	const uint8_t *origin_fp; /* FINGERPRINT_LEN bytes of it */
	const char *sni;          /* "": none */
	enum leaf_key_kind key;
	bool untrusted; /* signed by the CA's twin, which nobody trusts */
	const struct revocation
		*revocation; /* unless untrusted: shown as revoked; NULL: it is not */
	bool add_sni; /* a name that the origin's certificate is not for is added; else it is not */
	bool hide;    /* verification is off: the name is added, and it is valid now, for servers */
};

/*
 * A leaf of what was signed, with one reference, the caller's; of `key` it takes another. `ca` says
 * which names are outside of its constraints. 0, -ENOMEM or -EIO.
 */
int leaf_make(const struct ca *ca, EVP_PKEY *key, bool untrusted, const struct signed_leaf *made,
	      struct leaf **out);

/* One more reference; give one back (NULL allowed). Thread-safe. */
struct leaf *leaf_get(struct leaf *leaf);
void leaf_put(struct leaf *leaf);

/*
 * When to forge it again, in seconds since the epoch, as `now` is. A leaf that is over from the
 * start (expired origin) would come out the same: INT64_MAX. One with a staple, `now` being when it
 * was made, while that is good for hours to come: none is ever shown without.
 */
int64_t leaf_stale_at(const struct leaf *leaf, int64_t now);

/* SHA-256 over a certificate's DER. 0 or -EIO. */
int fingerprint_of(const X509 *cert, uint8_t out[FINGERPRINT_LEN]);

#endif
