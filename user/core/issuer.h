/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_ISSUER_H
#define KSPLIT_CORE_ISSUER_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/config.h"
#include "pki/ca.h"
#include "pki/leaf_cache.h"
#include "pki/leaf_keys.h"
#include "pki/signer.h"
#include "pki/twin.h"

/* What an issuer was made of: beside the certificates, which are compared themselves. */
struct issuer_made {
	char *leaf_key_type, *key_file, *signer_user; /* owned */
	uint32_t leaf_cache, sign_rate;
	struct stat key; /* of the file; st_ino 0: it cannot be looked at */
};

/*
 * Who issues forged leaves: the CA, the process that signs for it, its untrusted twin, the keys
 * that leaves share, and those that there are. Counted by references, since generations of the
 * configuration share one as long as the CA stays the same. What it points to is locked by itself
 * or does not change. Where the configuration names no CA, because all listeners are for incoming
 * calls, all of it is NULL, and the functions below do nothing.
 */
struct issuer {
	atomic_uint references;
	struct ca *ca; /* NULL: no leaf is ever forged */
	struct leaf_keys *leaf_keys;
	struct twin *twin;
	struct signer *signer;     /* the process that has the CA's key; NULL until issuer_start */
	struct leaf_cache *leaves; /* NULL until issuer_start */
	struct issuer_made made;
};

/*
 * Load the CA's certificates, make its twin and the leaves' first key. The caller's reference is
 * in *out. 0, or -errno with one line in `error`.
 */
int issuer_load(const struct config *config, struct issuer **out, char *error, size_t error_len);

/*
 * Start the signing process (pki/signer.h tells when that may be), which reads the CA's key; it is
 * read there and never here. 0, or -errno with one line in `error`.
 */
int issuer_start(struct issuer *issuer, const struct config *config, char *error, size_t error_len);

/*
 * The same by a signing process that somebody else has started (signer_adopt), and start its
 * thread.
 */
int issuer_adopt(struct issuer *issuer, const struct config *config, int fd, pid_t pid, char *error,
		 size_t error_len);

/*
 * Would `loaded`, which was just made of `config` by issuer_load, be the same as this one, signing
 * process and all? As far as the key's file can be looked at: a certificate that is the same has
 * the same key.
 */
bool issuer_is_same(const struct issuer *issuer, const struct issuer *loaded,
		    const struct config *config);

/*
 * Does the CA's key fit? For a process that serves nobody. 0, or -errno with one line in `error`.
 */
int issuer_check_key(const struct issuer *issuer, const struct config *config, char *error,
		     size_t error_len);

/* End the signing process; what is on its way to it fails, and comes back as it always does. */
void issuer_stop(struct issuer *issuer);

struct issuer *issuer_get(struct issuer *issuer);

/* The last one ends the signing process and frees everything; it may wait for that. NULL allowed.
 */
void issuer_put(struct issuer *issuer);

#endif
