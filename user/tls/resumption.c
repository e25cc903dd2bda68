// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/resumption.h"

#include <errno.h>

#include "tls/session.h"
#include "tls/ticket_keys.h"

int tls_resumption_set_client_side(SSL_CTX *ctx, const struct tls_resumption *resumption)
{
	if (!resumption->client_tickets) {
		/* TLS 1.3: a ticket is then a name for what is in the cache here. */
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		if (!resumption->client_cache)
			return SSL_CTX_set_num_tickets(ctx, 0) ? 0 : -EIO;
	}
	if (resumption->client_lifetime_s)
		SSL_CTX_set_timeout(ctx, (long)resumption->client_lifetime_s);
	if (resumption->client_cache) {
		/* What is in a ticket is not in it: OpenSSL stores what the client cannot. */
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
		SSL_CTX_sess_set_cache_size(ctx, (long)resumption->client_cache);
	}
	return resumption->ticket_keys ? ticket_keys_attach(resumption->ticket_keys, ctx) : 0;
}

int tls_resumption_set_upstream_side(SSL_CTX *ctx, const struct tls_resumption *resumption)
{
	if (!resumption->upstream_tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (resumption->upstream_sessions)
		tls_session_prepare_upstream_side(ctx);
	return 0;
}
