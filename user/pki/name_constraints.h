/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_NAME_CONSTRAINTS_H
#define KSPLIT_PKI_NAME_CONSTRAINTS_H

#include <openssl/x509.h>

/* For which names a CA, and those above it, may sign (RFC 5280 4.2.1.10). Immutable. */
struct name_constraints;

/*
 * Read them of a CA's certificate and of those above it. Caller owns *out (name_constraints_free),
 * which is NULL where none of them has any. 0, -EINVAL (an extension cannot be read) or -ENOMEM.
 */
int name_constraints_read(X509 *cert, STACK_OF(X509) * above, struct name_constraints **out);

/*
 * Would a client take these names from that CA? X509_V_OK, or what is wrong as clients see it
 * (X509_verify_cert_error_string). The names are those of subject and subjectAltName; a common name
 * counts as a DNS name where there is no other (RFC 6125 6.4.4). `constraints` may be NULL:
 * anything goes. The leaf is known to the calling thread alone (its extensions are read and kept in
 * it).
 */
int name_constraints_check(const struct name_constraints *constraints, X509 *leaf);

/* NULL allowed. */
void name_constraints_free(struct name_constraints *constraints);

#endif
