/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CLIENT_IDENTITY_H
#define KSPLIT_CORE_CLIENT_IDENTITY_H

#include <openssl/x509.h>
#include <stddef.h>
#include <sys/stat.h>

/*
 * Client certificates that ksplitd itself shows to origins that ask for one (RFC 8446 4.3.2), by
 * rule of section "upstream". Without one such an origin is the client's own affair, and passed.
 */

struct config;

/* Of one rule; all NULL: it has none. */
struct client_identity {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain;
	struct stat cert_file, key_file; /* when they were read */
};

/*
 * Read those of a configuration: *out has config->upstream.len members, the caller's
 * (client_identities_free). What `before` (NULL: none) has of the same files, unchanged, is taken
 * from there: a key may have become unreadable when the rights of the start were given up. 0, or
 * -errno with one line in `error`.
 */
int client_identities_load(const struct config *config, const struct config *config_before,
			   const struct client_identity *before, struct client_identity **out,
			   char *error, size_t error_len);

/* NULL allowed. */
void client_identities_free(struct client_identity *identities, size_t len);

#endif
