/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_SUITES_H
#define KSPLIT_TLS_SUITES_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "tls/client_hello.h"

/*
 * What a server's handshakes can end in, and whether a client can come to that: its cipher suites,
 * groups and signature algorithms say so before OpenSSL is asked, which could only fail.
 */
struct tls_suites;

/* What a server's own key is good for. */
enum tls_key {
	TLS_KEY_RSA = 1,
	TLS_KEY_P256 = 2,
	TLS_KEY_P384 = 4,
	TLS_KEY_ECDSA = 8, /* for ECDSA suites, by whatever curve: only suites are looked at */
};

/* Those of `ctx`. Caller owns *out. 0 or -ENOMEM. */
int tls_suites_new(SSL_CTX *ctx, struct tls_suites **out);
void tls_suites_free(struct tls_suites *suites); /* NULL allowed */

/*
 * Can this client's handshake succeed with one of these keys? By the version that it would have,
 * the highest that is offered: a suite, a group that both have where the suite needs one, and a
 * signature by the key that the client can verify (RFC 8446 4.2.3, 4.2.7; RFC 5246 7.4.1.4.1; RFC
 * 8422 4, 5.1). What a TLS 1.2 client does not say it is taken to have.
 */
bool tls_suites_fit(const struct tls_suites *suites, const struct client_hello *hello,
		    unsigned int keys);

/*
 * Can this client verify certificates that are signed in this way (RFC 8446 4.2.3: by
 * signature_algorithms_cert, else signature_algorithms)? Yes where it does not say, or where we do
 * not know the algorithm.
 */
bool client_hello_verifies(const struct client_hello *hello, const X509_ALGOR *algorithm);

#endif
