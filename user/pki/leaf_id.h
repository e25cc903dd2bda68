/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_LEAF_ID_H
#define KSPLIT_PKI_LEAF_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "pki/leaf.h"

/* Which leaf: all that makes it another one. Nothing is owned. */
struct leaf_id {
	uint8_t origin_fp[FINGERPRINT_LEN];
	enum leaf_key_kind key;
	bool untrusted, hide;
	const struct revocation *revocation; /* whether there is one counts, not what it says */
	const char *name;                    /* that is added; "": none */
};

bool leaf_id_same(const struct leaf_id *a, const struct leaf_id *b);
uint64_t leaf_id_hash(const struct leaf_id *id);

#endif
