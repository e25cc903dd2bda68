/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_FORGE_EXTENSIONS_H
#define KSPLIT_PKI_FORGE_EXTENSIONS_H

#include <openssl/x509.h>

#include "pki/forge.h"

/*
 * Can a leaf say what this certificate says? -ENOTSUP: it is not for TLS servers (key usage,
 * extended key usage, Netscape's type), or it has a critical extension that leaves do not have
 * (RFC 5280 4.2: who does not know it has to refuse the certificate). Else 0.
 */
int forge_check_origin(X509 *origin);

/*
 * All extensions but the names: basicConstraints, keyUsage, extendedKeyUsage, certificatePolicies,
 * key identifiers. 0, -ENOTSUP, -ENOMEM or -EIO.
 */
int forge_add_extensions(X509 *leaf, const struct forge_request *request);

#endif
