/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_CACHE_H
#define KSPLIT_PKI_LEAF_CACHE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/ca.h"
#include "pki/leaf.h"
#include "pki/signer.h"
#include "pki/twin.h"

/*
 * The process-wide cache. Leaves are the same, and one, where origin certificate, kind of key, who
 * signs, revoked or not, and the name that had to be added are: its own names, wildcards too, share
 * a leaf. Bounded, by number and by bytes; the least recently used goes.
 */
struct leaf_cache;

/* Nothing is owned; it must live longer than the cache. */
struct leaf_cache_options {
	const struct ca *ca;
	struct signer *signer;
	struct leaf_keys *keys;
	const struct twin *twin;
	size_t max_entries; /* >= 1; entries that are just being forged come on top */
};

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
 * (it has gone), -ENOTSUP (no leaf can say what the origin's certificate says), -ENOMEM, -EIO.
 * Called once, without locks held, on the thread that takes the signer's answers or makes a key, or
 * before leaf_cache_get returns.
 */
typedef void (*leaf_cache_ready_fn)(void *waiter, int err, struct leaf *leaf);

/* Caller owns *out. 0 or -ENOMEM. */
int leaf_cache_new(const struct leaf_cache_options *options, struct leaf_cache **out);

/*
 * No thread may be inside leaf_cache_get, no key be in the making (leaf_keys_free), and no request
 * on its way to the signer (signer_stop), in this order. References given out stay good. NULL
 * allowed.
 */
void leaf_cache_free(struct leaf_cache *cache);

/*
 * The leaf that is wished for. Never waits. Returns
 *
 *   0             *out is a reference for the caller (leaf_put): it was cached
 *
 *   -EINPROGRESS  it is being forged: `ready(waiter, ...)` will be called, or was
 *
 *   -ENOMEM       and nothing will be called
 *
 * Simultaneous first calls forge once. A failure is not kept: the next call tries again. A leaf
 * whose notAfter passed while it was cached, or whose staple gets old, is forged anew. An origin
 * that renews its certificate has a new fingerprint, hence a new leaf.
 */
int leaf_cache_get(struct leaf_cache *cache, const struct leaf_wish *wish,
		   leaf_cache_ready_fn ready, void *waiter, struct leaf **out);

/*
 * The leaves that there are, the last used first, `max` at most: references for the caller
 * (leaf_put). How many. Any thread.
 */
size_t leaf_cache_read(struct leaf_cache *cache, struct leaf **out, size_t max);

/* A consistent copy of the figures; any thread. */
void leaf_cache_read_stats(struct leaf_cache *cache, struct leaf_cache_stats *out);

#endif
