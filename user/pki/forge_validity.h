/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_FORGE_VALIDITY_H
#define KSPLIT_PKI_FORGE_VALIDITY_H

#include <openssl/x509.h>
#include <stdbool.h>

/*
 * The origin's validity, each end moved into the CA's, in the form of RFC 5280 4.1.2.5. Since the
 * CA is valid now, a leaf of an expired or future origin is expired or future too; `hide`: it is
 * valid from a day before now, and for a week. 0, -ENOTSUP (a time of the origin cannot be read),
 * -ENOMEM or -EIO.
 */
int forge_set_validity(X509 *leaf, const X509 *origin, const X509 *ca_cert, bool hide);

#endif
