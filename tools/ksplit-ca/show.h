/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_SHOW_H
#define KSPLIT_CA_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "authority.h"
#include "store.h"

#define SHOW_WARNINGS_MAX 12
#define SHOW_TIME_MAX     32

/* Where it was looked for. */
struct show_store {
	char *kind, *where;
	enum store_result result; /* DONE: installed, SO: not, FAILED: unknown */
};

/* All that `ksplit-ca show` tells. */
struct show {
	const char *cert_path, *key_path;
	X509 *cert;
	NAME_CONSTRAINTS *constraints; /* or NULL */
	char subject[512], serial[64], key_type[64];
	char fingerprint[AUTHORITY_FINGERPRINT_TEXT];
	char from[SHOW_TIME_MAX], until[SHOW_TIME_MAX]; /* RFC 3339 */
	long days_left;                                 /* negative: since then */
	long path_length;                               /* -1: any */
	char key_state[320];
	struct show_store *stores;
	size_t store_count;
	char warnings[SHOW_WARNINGS_MAX][320];
	size_t warning_count;
};

/* For people, and as one JSON object. */
void show_print_text(const struct show *show);
void show_print_json(const struct show *show);

#endif
