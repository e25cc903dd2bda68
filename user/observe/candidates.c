// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/candidates.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS       8
#define PER_SERIES 4 /* candidates for each kept series */

struct candidate {
	uint32_t tag;   /* the half of the hash that is not the set's number */
	uint32_t count; /* 0: free */
};

int candidates_init(struct candidates *candidates, uint32_t kept)
{
	uint32_t sets = 1;

	while ((uint64_t)sets * WAYS < (uint64_t)kept * PER_SERIES)
		sets *= 2;
	candidates->sets = sets;
	candidates->entries = calloc((size_t)sets * WAYS, sizeof(*candidates->entries));
	return candidates->entries ? 0 : -ENOMEM;
}

void candidates_free(struct candidates *candidates)
{
	free(candidates->entries);
	*candidates = (struct candidates){0};
}

static struct candidate *set_of(const struct candidates *candidates, uint64_t hash)
{
	return candidates->entries + (size_t)((uint32_t)hash & (candidates->sets - 1)) * WAYS;
}

static struct candidate *find(struct candidate *set, uint64_t hash)
{
	for (int i = 0; i < WAYS; i++)
		if (set[i].count > 0 && set[i].tag == (uint32_t)(hash >> 32))
			return &set[i];
	return NULL;
}

uint32_t candidates_add(struct candidates *candidates, uint64_t hash)
{
	struct candidate *set = set_of(candidates, hash);
	struct candidate *entry = find(set, hash);

	if (entry) {
		entry->count += entry->count < UINT32_MAX;
		return entry->count;
	}
	entry = &set[0];
	for (int i = 1; i < WAYS; i++)
		if (set[i].count < entry->count)
			entry = &set[i];
	if (entry->count > 0)
		entry->count--;
	if (entry->count == 0)
		*entry = (struct candidate){.tag = (uint32_t)(hash >> 32), .count = 1};
	return 1;
}

void candidates_remove(struct candidates *candidates, uint64_t hash)
{
	struct candidate *entry = find(set_of(candidates, hash), hash);

	if (entry)
		entry->count = 0;
}

void candidates_age(struct candidates *candidates, unsigned int halvings)
{
	for (size_t i = 0; i < (size_t)candidates->sets * WAYS; i++)
		candidates->entries[i].count >>= halvings;
}

size_t candidates_memory(const struct candidates *candidates)
{
	return (size_t)candidates->sets * WAYS * sizeof(*candidates->entries);
}
