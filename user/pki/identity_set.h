/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_IDENTITY_SET_H
#define KSPLIT_PKI_IDENTITY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pki/identity.h"

/* What a client may be shown for a name: at most one identity of each kind of key. */
struct identity_choice {
	const struct identity *items[IDENTITY_KINDS]; /* the set's */
	size_t len;
	bool rsa, ecdsa; /* can TLS 1.2 suites that authenticate with RSA, ECDSA be had? */
	uint8_t id[FINGERPRINT_LEN]; /* the same for the same certificates, whatever the process */
};

/*
 * All identities of a configuration as they were loaded at one moment. Immutable; counted by
 * references, so that connections under way keep what they began with when files change.
 */
struct identity_set;

/*
 * Load every source. `old` (NULL: none) is the set that this one is to replace: where a new OCSP
 * response cannot be shown, its response for the same certificate is kept while it is fresh. Caller
 * owns the one reference to *out. 0, or -ENOENT, -EACCES, -EINVAL, -ENOMEM with one line in
 * `error`.
 */
int identity_set_load(const struct identity_source *sources, size_t len,
		      const struct identity_set *old, struct identity_set **out, char *error,
		      size_t error_len);

/* One more reference; give one back (NULL allowed). Thread-safe. */
struct identity_set *identity_set_get(struct identity_set *set);
void identity_set_put(struct identity_set *set);

/*
 * What to show for a name (lower case; "" for none): that of the name itself, else of a wildcard
 * for its first label (RFC 9525 section 6.3), else the default; NULL: none of them. Lives as long
 * as the set.
 */
const struct identity_choice *identity_set_find(const struct identity_set *set, const char *name);

/* In the order of the sources. */
size_t identity_set_len(const struct identity_set *set);
const struct identity *identity_set_at(const struct identity_set *set, size_t index);

#endif
