/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_IDENTITY_STORE_H
#define KSPLIT_PKI_IDENTITY_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "pki/identity_set.h"

/* How often identity_store_poll wants to be called. */
#define IDENTITY_STORE_POLL_MS 500

/*
 * The identities that are shown now, and the files that they came from. Whoever needs one takes a
 * reference to the set; a reload puts another set in its place.
 */
struct identity_store;

struct identity_store_stats {
	uint64_t reloads; /* that changed what is shown */
	uint64_t failed;  /* that did not, for a reason that was told */
};

/*
 * Load all sources, which stay the caller's and must live longer. Caller owns *out. 0, or as
 * identity_set_load.
 */
int identity_store_new(const struct identity_source *sources, size_t len,
		       struct identity_store **out, char *error, size_t error_len);

/*
 * The same, in the place of another store (NULL: none): if the sources are the same and no file has
 * changed since `before` loaded it, its set is taken and nothing is read. The thread that polls
 * `before`.
 */
int identity_store_follow(const struct identity_source *sources, size_t len,
			  struct identity_store *before, struct identity_store **out, char *error,
			  size_t error_len);

/* References that were given out stay good. NULL allowed. */
void identity_store_free(struct identity_store *store);

/* The present set, a reference for the caller (identity_set_put). Any thread. */
struct identity_set *identity_store_get(struct identity_store *store);

/*
 * Have files changed, and been left alone since the last call (a certificate and its key are seldom
 * replaced at one moment)? Then load all of them again. A file that cannot be used changes nothing;
 * the log says why, once for each change. Tells also of staples that have gone out of date. One
 * thread. 1: another set is in place; 0: not; -errno: files changed and cannot be used.
 */
int identity_store_poll(struct identity_store *store);

/* Any thread. */
void identity_store_read_stats(struct identity_store *store, struct identity_store_stats *out);

#endif
