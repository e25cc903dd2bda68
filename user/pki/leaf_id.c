// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf_id.h"

#include <string.h>

/* FNV-1a over the rest, begun with the fingerprint, which is as good as random. */
uint64_t leaf_id_hash(const struct leaf_id *id)
{
	const unsigned int kind = (unsigned int)id->key << 3 | (id->revocation != NULL) << 2 |
				  id->untrusted << 1 | id->hide;
	uint64_t hash;

	memcpy(&hash, id->origin_fp, sizeof(hash));
	hash = (hash ^ kind) * UINT64_C(0x100000001b3);
	for (const char *name = id->name; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

bool leaf_id_same(const struct leaf_id *a, const struct leaf_id *b)
{
	return !memcmp(a->origin_fp, b->origin_fp, FINGERPRINT_LEN) && a->key == b->key &&
	       a->untrusted == b->untrusted && a->hide == b->hide &&
	       !a->revocation == !b->revocation && !strcmp(a->name, b->name);
}
