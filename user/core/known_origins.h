/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_KNOWN_ORIGINS_H
#define KSPLIT_CORE_KNOWN_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/leaf.h"
#include "tls/session_cache.h"

#define KNOWN_ALPN_MAX 31 /* longer answers are not remembered; "http/1.1" has 8 bytes */

/*
 * What origins have shown lately, and what clients were shown for it: enough to shake hands with
 * the next client before its origin has answered (core/conn_parallel.h). Bounded: what ends first
 * makes room. Any thread; one lock.
 */
struct known_origins;

/* All of what the next handshake is made of and has to be the same for. */
struct known_key {
	uint8_t scope[SESSION_KEY_LEN]; /* session_cache_key() */
	enum leaf_key_kind leaf_key;
};

struct known_origin {
	struct leaf *leaf; /* a reference of whoever holds this */
	uint8_t origin_fp[FINGERPRINT_LEN];
	uint8_t alpn[KNOWN_ALPN_MAX];
	uint8_t alpn_len; /* 0: the origin chose none */
};

/* Caller owns *out. 0 or -ENOMEM. */
int known_origins_new(struct known_origins **out);

/* NULL allowed. */
void known_origins_free(struct known_origins *known);

/*
 * An origin was seen (once more), good in all respects, at `now_s` (seconds, wall clock): known for
 * `lifetime_s` from now, but no longer than its leaf is good. Takes a reference of its own. One that
 * was wrong a while ago is not believed yet.
 */
void known_origins_note(struct known_origins *known, const struct known_key *key,
			const struct known_origin *origin, uint32_t lifetime_s, int64_t now_s);

/*
 * It was otherwise than known: forget it, and let nobody guess it for `lifetime_s` from now, since
 * there may be several of its name that are not alike.
 */
void known_origins_wrong(struct known_origins *known, const struct known_key *key,
			 uint32_t lifetime_s, int64_t now_s);

/* Is it known? Then *out has a reference for the caller (leaf_put). */
bool known_origins_find(struct known_origins *known, const struct known_key *key, int64_t now_s,
			struct known_origin *out);

#endif
