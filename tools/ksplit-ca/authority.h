/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_AUTHORITY_H
#define KSPLIT_CA_AUTHORITY_H

#include <openssl/x509v3.h>
#include <stddef.h>

#define AUTHORITY_NAME_MAX         64 /* ub-common-name, RFC 5280 A.1 */
#define AUTHORITY_FINGERPRINT_TEXT 96 /* "AB:CD:..." of SHA-256 */
#define AUTHORITY_LABEL            24 /* "ksplit-" and 16 hexadecimal digits */

/*
 * A new key on P-256, and a certificate for it by itself: CA:TRUE with path length 0, keyCertSign
 * and cRLSign, subject key identifier (RFC 5280 4.2.1), a serial number of 159 bits, valid from an
 * hour ago (clocks of clients) for `days`. `constraints` may be NULL. The caller frees both, or an
 * enum ca_exit with what is wrong said.
 */
int authority_make(const char *name, long days, NAME_CONSTRAINTS *constraints, X509 **cert,
		   EVP_PKEY **key);

/* The first certificate of a PEM file. 0 and *cert, the caller's, or CA_FAILED, said. */
int authority_read(const char *path, X509 **cert);

/* Does a key file belong to it? 1, 0, or -errno (-EINVAL: no key without password in it). */
int authority_key_fits(X509 *cert, const char *key_path);

/* May it be put into a trust store: a CA, valid now? 0, or CA_FAILED, said. */
int authority_check(X509 *cert, const char *path);

/* Under which name it stands in every store, from its SHA-256: "ksplit-0123456789abcdef". */
void authority_label(X509 *cert, char label[static AUTHORITY_LABEL]);

/* As people compare it: "AB:CD:...". */
void authority_fingerprint(X509 *cert, char text[static AUTHORITY_FINGERPRINT_TEXT]);

/* Its PEM text, the caller frees it; NULL: out of memory. */
char *authority_pem(X509 *cert);

#endif
