/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_SESSION_CACHE_H
#define KSPLIT_TLS_SESSION_CACHE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_KEY_LEN     32
#define SESSIONS_PER_KEY    8
#define SESSION_WEIGHT_UNIT 8192 /* bytes of a ticket that count as one session more */

/*
 * Sessions that origins let us resume, by what they are good for. Bounded: the ones that were kept
 * longest make room. A TLS 1.3 ticket is given out once (RFC 8446 C.4), and several are kept for
 * each key; of TLS 1.2 one is kept and given out again and again. Any thread: locks are by key.
 */
struct session_cache;

/* What a session is good for: all of it has to be the same. */
struct session_scope {
	const void *address; /* of the origin: bytes, network order */
	size_t address_len;
	uint16_t port;
	const char *sni;         /* "": none */
	const char *verify_name; /* that the certificate had to have; NULL: any */
	const uint8_t *alpn;     /* as it was offered */
	size_t alpn_len;
	uint32_t profile;    /* how the origin was verified */
	uint64_t generation; /* ... and under which configuration */
};

/*
 * A session and what is known of its first handshake, the one with a certificate in it; the group
 * is of the one that the session came with.
 */
struct session_grant {
	SSL_SESSION *session; /* NULL: none */
	int64_t born;         /* when that was; seconds, wall clock */
	uint32_t faults;      /* of the certificate, as it was judged then */
	bool was_asked;       /* in it, for a client certificate */
	int group;	      /* for the key share of the next one (tls/key_groups.h); 0: not known */
};

/* Keep `max_weight` sessions at most, 1 at least. Caller owns *out. 0 or -ENOMEM. */
int session_cache_new(size_t max_weight, struct session_cache **out);
void session_cache_free(struct session_cache *cache);

/* SHA-256 over a scope. 0 or -EIO. */
int session_cache_key(const struct session_scope *scope, uint8_t key[SESSION_KEY_LEN]);

/*
 * Keep a session (takes a reference of its own) until `lifetime_s` after it was born, the end of
 * its ticket's life (RFC 8446 4.6.1) or of its certificate, whichever comes first. 0, -ESTALE (one
 * of them has come), -EINVAL (it cannot be resumed), -EFBIG (it weighs more than there may be) or
 * -ENOMEM.
 */
int session_cache_put(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN],
		      const struct session_grant *grant, uint32_t lifetime_s, int64_t now_s);

/*
 * One to resume, the newest: out->session is the caller's (SSL_SESSION_free), NULL when there is
 * none. Returns how many of this key were too old by now; these are freed.
 */
size_t session_cache_take(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN],
			  int64_t now_s, struct session_grant *out);

/* The origin did not resume one: forget the others of this key, too. */
void session_cache_drop(struct session_cache *cache, const uint8_t key[SESSION_KEY_LEN]);

/* Free what is too old. Returns how many. */
size_t session_cache_purge(struct session_cache *cache, int64_t now_s);

struct session_cache_stats {
	size_t entries;   /* kept now */
	uint64_t evicted; /* made room before their time, for others than their own successors */
};

void session_cache_read_stats(struct session_cache *cache, struct session_cache_stats *out);

#endif
