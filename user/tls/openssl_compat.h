/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_OPENSSL_COMPAT_H
#define KSPLIT_TLS_OPENSSL_COMPAT_H

#include <openssl/opensslv.h>
#include <openssl/ssl.h>

/*
 * The differences between the OpenSSL releases that ksplit is built with, here and nowhere else.
 *
 * Key exchange groups: X25519 first, so that the one key share of a ClientHello is 32 bytes and
 * costs one scalar multiplication. OpenSSL 3.5's own default would add an ML-KEM share (about 0.9 M
 * instructions); the group is still offered there, for origins and clients that insist.
 */
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
#define TLS_GROUPS "X25519:P-256:X25519MLKEM768:X448:P-384:P-521"
#else
#define TLS_GROUPS "X25519:P-256:X448:P-384:P-521"
#endif

/*
 * Wiping what was decrypted and read: 3.5 crashes with this option in connections that are relayed
 * (seen with 3.5.7; its record layer came with 3.2), so there plaintext stays in OpenSSL's buffers
 * until they are used again.
 */
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
#define TLS_CLEANSE_PLAINTEXT 0
#else
#define TLS_CLEANSE_PLAINTEXT SSL_OP_CLEANSE_PLAINTEXT
#endif

#endif
