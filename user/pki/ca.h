/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_CA_H
#define KSPLIT_PKI_CA_H

#include <openssl/x509.h>
#include <stddef.h>

/* The local CA: certificate, private key, and the certificates above it that clients are shown.
 * Immutable after load. */
struct ca {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain; /* without cert; may be empty, never NULL; ca_load leaves a
				   self-signed root out of it */
};

/*
 * Load and check a CA from PEM files: readable, in its validity, CA:TRUE, keyCertSign (when
 * keyUsage is there), serverAuth (when extended key usage is there), key fits, key not
 * password-protected. The certificates that follow the CA's own in `cert_file` must each have
 * issued the one before, and their path lengths must leave room for it (RFC 5280 4.2.1.9). Caller
 * owns *out (ca_free). `key_file` may equal `cert_file`. 0, or -ENOENT/-EACCES/-EINVAL/-ENOMEM with
 * one line (which file, what, how to mend) in `error`.
 */
int ca_load(const char *cert_file, const char *key_file, struct ca **out, char *error,
	    size_t error_len);

/* Free certificate, key and chain. NULL allowed. */
void ca_free(struct ca *ca);

#endif
