/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_CACHE_H
#define KSPLIT_PKI_LEAF_CACHE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"
#include "pki/signer.h"

#define FINGERPRINT_LEN 32 /* SHA-256 of the DER certificate */

/* A forged leaf, shared by connections and workers; immutable; freed with its last reference. */
struct leaf {
	X509 *cert;
	uint8_t fingerprint[FINGERPRINT_LEN];
	bool outside; /* a name is outside the CA's constraints: clients would refuse it */
};

/* The process-wide cache, keyed by origin certificate fingerprint and SNI; bounded, the least
 * recently used goes. */
struct leaf_cache;

/* Calls since the start, and entries now. hits + misses + waited is the number of calls. */
struct leaf_cache_stats {
	uint64_t hits;   /* answered from the cache */
	uint64_t misses; /* had to forge: each ends as forged or failed */
	uint64_t forged, failed;
	uint64_t waited;  /* came while it was being forged for another */
	uint64_t evicted; /* thrown out for room or because their time was over */
	uint64_t entries;
};

/*
 * A waiter's callback: err 0, and the leaf that it asked for (a reference that the waiter now
 * owns); or why there is none: -EBUSY (ca.sign_rate), -EACCES (the signing process refused), -EPIPE
 * (it has gone), -ENOMEM, -EIO. Called once, without locks held, on the thread that takes the
 * signer's answers, or before leaf_cache_get returns.
 */
typedef void (*leaf_cache_ready_fn)(void *waiter, int err, struct leaf *leaf);

/*
 * `ca`, `signer` and `leaf_key` stay the caller's and must live longer. max_entries >= 1; entries
 * that are just being forged come on top. Caller owns *out. 0 or -ENOMEM.
 */
int leaf_cache_new(const struct ca *ca, struct signer *signer, EVP_PKEY *leaf_key,
		   size_t max_entries, struct leaf_cache **out);

/* No thread may be inside leaf_cache_get, and no request on its way to the signer (signer_stop).
 * References given out stay good. NULL allowed. */
void leaf_cache_free(struct leaf_cache *cache);

/*
 * The leaf for an origin certificate and SNI ("" for none). Never waits. Returns
 *
 *   0             *out is a reference for the caller (leaf_put): it was cached
 *
 *   -EINPROGRESS  it is being forged: `ready(waiter, ...)` will be called, or was
 *
 *   -ENOMEM       and nothing will be called
 *
 * Simultaneous first calls forge once. A failure is not kept: the next call tries again. `origin`
 * is used during the call alone. A leaf whose notAfter passed while it was cached is forged anew.
 * An origin that renews its certificate has a new fingerprint, hence a new leaf.
 */
int leaf_cache_get(struct leaf_cache *cache, X509 *origin, const uint8_t origin_fp[FINGERPRINT_LEN],
		   const char *sni, leaf_cache_ready_fn ready, void *waiter, struct leaf **out);

/* One more reference; give one back (NULL allowed). Thread-safe. */
struct leaf *leaf_get(struct leaf *leaf);
void leaf_put(struct leaf *leaf);

/* A consistent copy of the figures; any thread. */
void leaf_cache_read_stats(struct leaf_cache *cache, struct leaf_cache_stats *out);

/* SHA-256 over a certificate's DER. 0 or -EIO. */
int fingerprint_of(const X509 *cert, uint8_t out[FINGERPRINT_LEN]);

#endif
