// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/known_origins.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETS 512 /* a power of two */
#define WAYS 4

struct slot {
	struct known_key key;
	struct known_origin origin; /* leaf NULL: it was wrong */
	int64_t since, until;       /* seconds; until 0: free */
};

struct known_origins {
	pthread_mutex_t lock; /* guards the slots */
	struct slot slots[SETS][WAYS];
};

int known_origins_new(struct known_origins **out)
{
	struct known_origins *known = calloc(1, sizeof(*known));

	if (!known)
		return -ENOMEM;
	pthread_mutex_init(&known->lock, NULL);
	*out = known;
	return 0;
}

static void slot_clear(struct slot *slot)
{
	leaf_put(slot->origin.leaf);
	memset(slot, 0, sizeof(*slot));
}

void known_origins_free(struct known_origins *known)
{
	if (!known)
		return;
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			slot_clear(&known->slots[i][k]);
	pthread_mutex_destroy(&known->lock);
	free(known);
}

/* A scope is a SHA-256: any of its bytes will do. */
static struct slot *set_of(struct known_origins *known, const struct known_key *key)
{
	uint32_t number;

	memcpy(&number, key->scope, sizeof(number));
	return known->slots[number & (SETS - 1)];
}

static bool is_of(const struct slot *slot, const struct known_key *key)
{
	return slot->until && slot->key.leaf_key == key->leaf_key &&
	       !memcmp(slot->key.scope, key->scope, sizeof(key->scope));
}

/* A clock that was set back makes nothing known for longer. */
static bool is_over(const struct slot *slot, int64_t now_s)
{
	return now_s >= slot->until || now_s < slot->since;
}

/* NULL: not there, or no longer. */
static struct slot *find(struct known_origins *known, const struct known_key *key, int64_t now_s)
{
	struct slot *set = set_of(known, key);

	for (size_t i = 0; i < WAYS; i++) {
		if (!is_of(&set[i], key))
			continue;
		if (!is_over(&set[i], now_s))
			return &set[i];
		slot_clear(&set[i]);
	}
	return NULL;
}

/* The slot of this key, or one to be used for it: a free one ends first. */
static struct slot *make_room(struct known_origins *known, const struct known_key *key)
{
	struct slot *set = set_of(known, key), *first = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (is_of(&set[i], key)) {
			first = &set[i];
			break;
		}
		if (set[i].until < first->until)
			first = &set[i];
	}
	slot_clear(first);
	first->key = *key;
	return first;
}

void known_origins_note(struct known_origins *known, const struct known_key *key,
			const struct known_origin *origin, uint32_t lifetime_s, int64_t now_s)
{
	const int64_t stale = leaf_stale_at(origin->leaf, now_s);
	struct slot *slot;

	if (stale <= now_s)
		return;
	pthread_mutex_lock(&known->lock);
	slot = find(known, key, now_s);
	if (!slot || slot->origin.leaf) {
		leaf_get(origin->leaf); /* it may be this slot's, which is about to be cleared */
		slot = make_room(known, key);
		slot->origin = *origin;
		slot->since = now_s;
		slot->until = now_s + lifetime_s < stale ? now_s + lifetime_s : stale;
	}
	pthread_mutex_unlock(&known->lock);
}

void known_origins_wrong(struct known_origins *known, const struct known_key *key,
			 uint32_t lifetime_s, int64_t now_s)
{
	struct slot *slot;

	pthread_mutex_lock(&known->lock);
	slot = make_room(known, key);
	slot->since = now_s;
	slot->until = now_s + lifetime_s;
	pthread_mutex_unlock(&known->lock);
}

bool known_origins_find(struct known_origins *known, const struct known_key *key, int64_t now_s,
			struct known_origin *out)
{
	const struct slot *slot;
	bool found;

	pthread_mutex_lock(&known->lock);
	slot = find(known, key, now_s);
	found = slot && slot->origin.leaf;
	if (found) {
		*out = slot->origin;
		leaf_get(out->leaf);
	}
	pthread_mutex_unlock(&known->lock);
	return found;
}
