// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "pki/revoked_response.h"

/* What a struct leaf is inside: users see `leaf` alone. */
struct leaf_box {
	struct leaf leaf; /* first: leaf_get and leaf_put cast back */
	atomic_uint references;
};

int fingerprint_of(const X509 *cert, uint8_t out[FINGERPRINT_LEN])
{
	return X509_digest(cert, EVP_sha256(), out, NULL) == 1 ? 0 : -EIO;
}

struct leaf *leaf_get(struct leaf *leaf)
{
	struct leaf_box *box = (struct leaf_box *)leaf;

	atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed);
	return leaf;
}

void leaf_put(struct leaf *leaf)
{
	struct leaf_box *box = (struct leaf_box *)leaf;

	/* release: our last use happens before the free; acquire: the free sees everybody's last
	 * use */
	if (!leaf || atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) != 1)
		return;
	X509_free(leaf->cert);
	EVP_PKEY_free(leaf->key);
	OPENSSL_free(leaf->staple);
	free(box);
}

static int fill(struct leaf *leaf, const struct ca *ca, const struct signed_leaf *made)
{
	const uint8_t *at = made->cert;

	leaf->cert = d2i_X509(NULL, &at, (long)made->cert_len);
	if (!leaf->cert)
		return -EIO;
	leaf->size = made->cert_len + made->staple_len;
	leaf->staple_len = made->staple_len;
	leaf->staple = made->staple ? OPENSSL_memdup(made->staple, made->staple_len) : NULL;
	if (!leaf->staple != !made->staple)
		return -ENOMEM;
	/* fills the cached view of the extensions now, while one thread alone knows it */
	X509_check_purpose(leaf->cert, -1, 0);
	leaf->outside = name_constraints_check(ca->constraints, leaf->cert) != X509_V_OK;
	return fingerprint_of(leaf->cert, leaf->fingerprint);
}

int leaf_make(const struct ca *ca, EVP_PKEY *key, bool untrusted, const struct signed_leaf *made,
	      struct leaf **out)
{
	struct leaf_box *box = calloc(1, sizeof(*box));
	int err;

	if (!box)
		return -ENOMEM;
	atomic_init(&box->references, 1);
	EVP_PKEY_up_ref(key);
	box->leaf.key = key;
	box->leaf.untrusted = untrusted;
	ERR_set_mark();
	err = fill(&box->leaf, ca, made);
	ERR_pop_to_mark();
	if (err) {
		leaf_put(&box->leaf);
		return err;
	}
	*out = &box->leaf;
	return 0;
}

static int64_t cert_stale_at(const X509 *cert, int64_t now)
{
	struct tm tm;
	int64_t end;

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		return INT64_MAX;
	end = timegm(&tm);
	return end >= now ? end : INT64_MAX;
}

int64_t leaf_stale_at(const struct leaf *leaf, int64_t now)
{
	const int64_t cert = cert_stale_at(leaf->cert, now);
	const int64_t staple = now + REVOKED_RESPONSE_AFTER_S / 2;

	return leaf->staple && staple < cert ? staple : cert;
}
