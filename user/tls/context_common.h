/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_CONTEXT_COMMON_H
#define KSPLIT_TLS_CONTEXT_COMMON_H

#include <openssl/ssl.h>

#include "tls/side_policy.h"

/* Settings that all sides have in common, and its policy (NULL: none). 0, -ENOMEM or -EIO. */
int tls_context_set_common(SSL_CTX *ctx, const struct tls_policy *policy);

#endif
