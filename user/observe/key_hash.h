/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_KEY_HASH_H
#define KSPLIT_OBSERVE_KEY_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Hash of a byte string under a random secret, so that a peer, who chooses URIs, cannot choose ones
 * that fall into one chain: the polynomial of its words at a secret point modulo the prime 2^61 - 1
 * (Carter and Wegman's universal hashing; two strings of n words collide with a probability of at
 * most n / 2^61).
 */
struct key_hash {
	uint64_t point;
};

void key_hash_init(struct key_hash *hash);
uint64_t key_hash_of(const struct key_hash *hash, const void *bytes, size_t len);

/*
 * The same of several strings, each told apart from its neighbours: `value` begins as any number
 * below 2^61 - 1, is handed from one key_hash_add to the next, and key_hash_end makes a hash of it.
 */
uint64_t key_hash_add(const struct key_hash *hash, uint64_t value, const void *bytes, size_t len);
uint64_t key_hash_end(const struct key_hash *hash, uint64_t value);

#endif
