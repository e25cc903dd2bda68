/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_RESUMPTION_H
#define KSPLIT_TLS_RESUMPTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct ticket_keys;

/* What a context lets its sessions be resumed by (section "sessions" of the configuration). */
struct tls_resumption {
	/* towards clients */
	struct ticket_keys *ticket_keys; /* not owned, outlive the context; NULL: OpenSSL's own */
	bool client_tickets;             /* the client keeps the session, sealed */
	uint32_t client_cache;           /* else we do: so many of each context, 0: none */
	uint32_t client_lifetime_s;
	/* towards origins */
	bool upstream_sessions; /* at all */
	bool upstream_tickets;
};

/* Set up a context that serves clients, or one for origins, behind all its other settings. 0 or
 * -EIO. */
int tls_resumption_set_client_side(SSL_CTX *ctx, const struct tls_resumption *resumption);
int tls_resumption_set_upstream_side(SSL_CTX *ctx, const struct tls_resumption *resumption);

#endif
