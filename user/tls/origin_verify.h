/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_ORIGIN_VERIFY_H
#define KSPLIT_TLS_ORIGIN_VERIFY_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/upstream_side.h"

/*
 * Have sessions of a side verify as its profile says: what is wrong with the origin's certificate
 * is gathered in tls_session.faults. Under TLS_VERIFY_MIMIC the handshake goes on with any fault;
 * else it fails (TLS_FAILURE_UNVERIFIED). Pins are held under TLS_VERIFY_OFF, too, where nothing
 * else is looked at. `side` stays the caller's and must outlive the context.
 */
void origin_verify_setup(SSL_CTX *ctx, const struct tls_upstream_side *side);

/* Is a certificate's public key one of these? SHA-256 of its SPKI (RFC 7469 2.4). */
bool origin_pin_matches(const struct tls_pin *pins, size_t len, X509 *cert);

#endif
