/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_FORGE_NAMES_H
#define KSPLIT_PKI_FORGE_NAMES_H

#include <openssl/x509.h>
#include <stdbool.h>

#define FORGE_NAME_MAX 253 /* RFC 1035 2.3.4, in text without the root's dot */

/*
 * Is the SNI ("" or NULL: none) a host name that no dNSName of the origin covers? Then *name is it
 * as a dNSName: lower case, without a last dot. Else "". `subject_counts`: the common name of an
 * origin without any dNSName covers it, too, as for clients of old (RFC 6125 6.4.4).
 */
bool forge_name_missing(X509 *origin, const char *sni, bool subject_counts,
			char name[FORGE_NAME_MAX + 1]);

/*
 * subjectAltName: the origin's, byte for byte, and `name` ("" or NULL: none) behind its names.
 * Critical as the origin has it, and always when the subject is empty (RFC 5280 4.2.1.6). None at
 * all when there is no name to put in it. 0, -ENOTSUP (the origin's cannot be read, or is there
 * twice), -ENOMEM or -EIO.
 */
int forge_add_names(X509 *leaf, X509 *origin, const char *name);

#endif
