/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_KEYS_H
#define KSPLIT_PKI_LEAF_KEYS_H

#include <openssl/evp.h>

/*
 * The keys that forged leaves share: one of each kind, which all leaves of it have. Locked by
 * itself.
 */
struct leaf_keys;

/*
 * What a client can do, or ought to be shown: EC for ECDSA; RSA where it cannot do that; one of
 * 1024 bits for an origin whose own key is that weak, so that a client which refuses such keys
 * does.
 */
enum leaf_key_kind { LEAF_KEY_EC, LEAF_KEY_RSA, LEAF_KEY_WEAK_RSA, LEAF_KEY_KINDS };

/*
 * Make a key: "P-256", "P-384", "RSA-1024", "RSA-2048", "RSA-3072". Caller owns *out. 0, -EINVAL
 * (name) or -EIO.
 */
int leaf_key_make(const char *type, EVP_PKEY **out);

/*
 * `first` (a type of above) is the key of its kind and is made now; the other kind, P-256 or
 * RSA-2048, and the weak one are made when they are first wanted. Caller owns *out. 0, -EINVAL,
 * -ENOMEM or -EIO.
 */
int leaf_keys_new(const char *first, struct leaf_keys **out);

/*
 * Waits for what is being made, whose waiters are told. No thread may be inside leaf_keys_get.
 * NULL allowed.
 */
void leaf_keys_free(struct leaf_keys *keys);

/* The kind of the first one: LEAF_KEY_EC or LEAF_KEY_RSA. */
enum leaf_key_kind leaf_keys_first(const struct leaf_keys *keys);

/* A waiter's callback: a key that lives as long as `keys`, or NULL: it could not be made. */
typedef void (*leaf_keys_ready_fn)(void *waiter, EVP_PKEY *key);

/*
 * The key of a kind. Never waits. 0: *out, which lives as long as `keys`; -EINPROGRESS: it is being
 * made, and `ready` will be called (or was), once, without locks held, on a thread of its own;
 * -EAGAIN, -ENOMEM or -EIO (it could not be made before): nothing will be called.
 */
int leaf_keys_get(struct leaf_keys *keys, enum leaf_key_kind kind, leaf_keys_ready_fn ready,
		  void *waiter, EVP_PKEY **out);

#endif
