/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_PEM_FILE_H
#define KSPLIT_PKI_PEM_FILE_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Files of certificates and keys. All: 0, or -ENOENT, -EACCES, -EINVAL or -ENOMEM with one line
 * (which file, what, how to mend) in `error`. What was read is wiped; stdio is not used, since its
 * buffers would keep a key.
 */

/* Every certificate of a PEM file in its order, at least one. Caller owns *out. */
int pem_file_certs(const char *path, STACK_OF(X509) **out, char *error, size_t error_len);

/* The first private key of a PEM file, which must not be password-protected. Caller owns *out. */
int pem_file_key(const char *path, EVP_PKEY **out, char *error, size_t error_len);

/* A small file as it is, up to 1 MiB. Caller frees *out (OPENSSL_free). */
int pem_file_bytes(const char *path, uint8_t **out, size_t *out_len, char *error,
		   size_t error_len);

#endif
