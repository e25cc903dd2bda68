/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_CA_H
#define KSPLIT_PKI_CA_H

#include <openssl/x509.h>
#include <stddef.h>

#include "pki/name_constraints.h"

/* The local CA: certificate, and the certificates above it that clients are shown. Its private key
 * lives in the signing process (pki/signer.h). Immutable after load. */
struct ca {
	X509 *cert;
	STACK_OF(X509) *chain; /* without cert; may be empty, never NULL; ca_load leaves a
				   self-signed root out of it */
	struct name_constraints *constraints; /* its own and of all above it; NULL: none */
};

/*
 * Load and check a CA's certificates from a PEM file: readable, in its validity, CA:TRUE,
 * keyCertSign (when keyUsage is there), serverAuth (when extended key usage is there). The
 * certificates that follow the CA's own must each have issued the one before, and their path
 * lengths must leave room for it (RFC 5280 4.2.1.9). Caller owns *out (ca_free). 0, or
 * -ENOENT/-EACCES/-EINVAL/-ENOMEM with one line (which file, what, how to mend) in `error`.
 */
int ca_load(const char *cert_file, struct ca **out, char *error, size_t error_len);

/*
 * Load the private key of a CA from a PEM file, not password-protected; it must fit `cert`, which
 * came from `cert_file` (for the message; may be the same file). Caller owns *out. Errors as above.
 */
int ca_load_key(const char *key_file, const char *cert_file, X509 *cert, EVP_PKEY **out,
		char *error, size_t error_len);

/* Free certificate and chain. NULL allowed. */
void ca_free(struct ca *ca);

#endif
