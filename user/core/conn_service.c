// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Incoming calls: clients are shown the service's own certificate, the service is told (or sees)
 * who calls, and may speak plain TCP.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/conn.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "core/proxy_header.h"
#include "core/server.h"
#include "tls/protocol.h"

/* What this client is shown; held until its handshake is done. */
struct conn_identity {
	struct identity_set *set; /* a reference */
	const struct identity_choice *choice;
	struct tls_credential credentials[IDENTITY_KINDS];
};

enum ksplit_reason conn_service_identify(struct conn *conn, const struct client_hello *hello)
{
	struct conn_identity *identity = calloc(1, sizeof(*identity));
	const struct identity_choice *choice;

	if (!identity)
		return KSPLIT_NO_MEMORY;
	conn->identity = identity;
	identity->set = identity_store_get(conn->generation->identities);
	choice = identity_set_find(identity->set, hello->sni);
	if (!choice)
		return KSPLIT_PASS_NO_IDENTITY;
	if (!tls_context_can_serve(conn->generation->tls, hello,
				   (choice->rsa ? TLS_KEY_RSA : 0) |
					   (choice->ecdsa ? TLS_KEY_ECDSA : 0)))
		return KSPLIT_PASS_NO_CIPHER;
	identity->choice = choice;
	return KSPLIT_NONE;
}

void conn_service_forget(struct conn *conn)
{
	if (!conn->identity)
		return;
	conn->side[SIDE_CLIENT].session.credentials = NULL;
	conn->side[SIDE_CLIENT].session.credentials_len = 0;
	identity_set_put(conn->identity->set);
	free(conn->identity);
	conn->identity = NULL;
}

static void credentials_fill(struct conn_identity *identity)
{
	time_t now = time(NULL);

	for (size_t i = 0; i < identity->choice->len; i++) {
		const struct identity *item = identity->choice->items[i];

		identity->credentials[i] = (struct tls_credential){
			.cert = item->cert,
			.key = item->key,
			.chain = item->chain,
		};
		if (!ocsp_staple_is_fresh(&item->staple, now))
			continue;
		identity->credentials[i].staple = item->staple.der;
		identity->credentials[i].staple_len = item->staple.len;
	}
}

void conn_service_shake(struct conn *conn)
{
	struct conn_socket *side = &conn->side[SIDE_CLIENT];
	struct conn_identity *identity = conn->identity;
	uint8_t id[32];

	credentials_fill(identity);
	conn_enter(conn, CONN_CLIENT_HANDSHAKE);
	if (conn_sessions_client_id(conn, identity->choice->id, id) ||
	    tls_session_accept_service(&side->session, conn->generation->tls, side->fd, &side->out,
				       conn->worker->kdf, identity->credentials,
				       identity->choice->len, id)) {
		conn_refuse(conn, KSPLIT_NO_MEMORY, ALERT_INTERNAL_ERROR);
		return;
	}
	conn_client_shake(conn);
}

void conn_service_shaken(struct conn *conn)
{
	const struct tls_session *session = &conn->side[SIDE_CLIENT].session;
	const struct tls_credential *shown = tls_session_shown(session);

	/*
	 * A resumed session shows no certificate; OpenSSL then tells one that it would have shown.
	 */
	if (shown && conn->identity) {
		const struct identity *item =
			conn->identity->choice->items[shown - session->credentials];

		memcpy(conn->info.leaf_fp, item->fingerprint, sizeof(conn->info.leaf_fp));
		conn->info.has_leaf_fp = true;
	}
	conn_service_forget(conn);
}

/*
 * The first of the service's protocols that the client offers (RFC 7301 3.2); none: none is told.
 */
static void alpn_choose(struct conn *conn)
{
	const struct config_listener *listener = conn->listener;
	const uint8_t *offer = conn->hello->alpn;

	for (size_t i = 0; i < listener->alpn_len; i += 1U + listener->alpn[i])
		for (size_t k = 0; k < conn->hello->alpn_len; k += 1U + offer[k])
			if (offer[k] == listener->alpn[i] &&
			    !memcmp(offer + k + 1, listener->alpn + i + 1, offer[k])) {
				conn_alpn_keep(conn, offer + k + 1, offer[k]);
				return;
			}
}

void conn_service_connected(struct conn *conn)
{
	alpn_choose(conn);
	/* What the service sends first waits for the client's handshake. */
	conn_side_watch(&conn->side[SIDE_UPSTREAM], 0);
	if (!conn->dead)
		conn_service_shake(conn);
}

/* --- who calls --- */

/* The address that the client called: where a rule has led it here, not our own. */
static const union conn_address *called(const struct conn *conn)
{
	return conn->listener->destination == DESTINATION_STATIC ? &conn->info.local
								 : &conn->info.upstream;
}

int conn_service_announce(struct conn *conn)
{
	struct conn_socket *side = &conn->side[SIDE_UPSTREAM];
	const struct conn_side_info *tls = &conn->info.side[SIDE_CLIENT];
	bool known = tls->version && !conn->info.passed;
	struct proxy_header header = {
		.source = &conn->info.client,
		.destination = called(conn),
		.authority = conn->info.sni,
		.alpn = conn->alpn,
		.alpn_len = known ? conn->alpn_len : 0,
		.tls_version = known ? conn_version_name(tls->version) : NULL,
		.cipher = known ? conn_suite_name(tls->suite) : NULL,
	};
	uint8_t bytes[PROXY_HEADER_MAX];
	size_t len;
	int err;

	if (conn->listener->client_address != CLIENT_ADDRESS_PROXY_V2)
		return 0;
	len = proxy_header_make(&header, bytes);
	err = len ? out_buffer_append(&side->out, bytes, len) : -EAFNOSUPPORT;
	if (!err)
		err = out_buffer_send(&side->out, side->fd);
	return err == -EAGAIN ? 0 : err; /* the rest goes ahead of what follows it */
}

int conn_service_take_source(const struct conn *conn, int fd, int family)
{
	union conn_address source = conn->info.client;
	const int on = 1;
	bool ipv6 = family == AF_INET6;
	int err;

	if (conn->listener->client_address != CLIENT_ADDRESS_TRANSPARENT)
		return 0;
	if (!ipv6 && source.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&source.in6.sin6_addr)) {
		memset(&source, 0, sizeof(source));
		source.in.sin_family = AF_INET;
		memcpy(&source.in.sin_addr, &conn->info.client.in6.sin6_addr.s6_addr[12], 4);
	}
	if (source.sa.sa_family != family)
		return -EAFNOSUPPORT;
	/* Another port than the client's: where the service is on this host, that one is in use. */
	if (ipv6)
		source.in6.sin6_port = 0;
	else
		source.in.sin_port = 0;
	err = setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
			 ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on));
	/* Chosen at connect(2), so that ports are shared between destinations (ip(7)). */
	if (!err)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (!err)
		err = bind(fd, &source.sa, ipv6 ? sizeof(source.in6) : sizeof(source.in));
	return err ? -errno : 0;
}

/* --- what cannot be passed --- */

static uint8_t alert_for(enum ksplit_reason reason)
{
	switch (reason) {
	case KSPLIT_PASS_NO_IDENTITY: return ALERT_UNRECOGNIZED_NAME;
	case KSPLIT_PASS_NO_VERSION: return ALERT_PROTOCOL_VERSION;
	default: return ALERT_HANDSHAKE_FAILURE;
	}
}

void conn_service_refuse(struct conn *conn, enum ksplit_reason reason)
{
	bool tls = reason != KSPLIT_PASS_NOT_TLS && reason != KSPLIT_PASS_SERVER_FIRST;

	log_info("connection %lu: %s: not passed, since the service speaks plain TCP: %s",
		 (unsigned long)conn->info.id, conn->info.sni, ksplit_reason_text(reason));
	conn_end(conn, KSPLIT_CANNOT_PASS,
		 (struct conn_farewell){.client = tls ? GOODBYE_ALERT : GOODBYE_CLOSE,
					.client_alert = alert_for(reason)});
}
