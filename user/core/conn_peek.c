// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first phase: look at the client's first bytes without taking them from the socket, so that
 * whoever gets the connection in the end - OpenSSL or the origin itself - finds them all there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/conn.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/protocol.h"

static void pass(struct conn *conn, enum ksplit_reason reason)
{
	if (conn_service_is_plain(conn)) {
		conn_service_refuse(conn, reason);
		return;
	}
	conn_policy_pass(conn, reason, "");
	conn_destination_find(conn);
}

/* KSPLIT_NONE: we can; KSPLIT_NO_MEMORY; else why it is passed. */
static enum ksplit_reason can_serve(struct conn *conn, const struct client_hello *hello)
{
	if (!hello->offers_tls12 && !hello->offers_tls13)
		return KSPLIT_PASS_NO_VERSION;
	if (conn->listener->incoming)
		return conn_service_identify(conn, hello);
	/* The self-test of capture where no leaf is ever forged. */
	if (!conn->generation->issuer->ca)
		return KSPLIT_PASS_NO_IDENTITY;
	return tls_context_can_serve(conn->generation->tls, hello) ? KSPLIT_NONE
									: KSPLIT_PASS_NO_CIPHER;
}

/* A complete ClientHello: ours to answer, or not? */
static void decide(struct conn *conn, const struct client_hello *hello)
{
	struct conn_socket *client = &conn->side[SIDE_CLIENT];
	struct conn_side_info *info = &conn->info.side[SIDE_CLIENT];
	enum ksplit_reason reason;

	memcpy(conn->info.sni, hello->sni, sizeof(conn->info.sni));
	reason = can_serve(conn, hello);
	if (reason != KSPLIT_NONE && reason != KSPLIT_NO_MEMORY) {
		pass(conn, reason);
		return;
	}
	conn->hello = malloc(sizeof(*conn->hello));
	if (reason == KSPLIT_NO_MEMORY) {
		conn_abort(conn, reason);
		return;
	}
	if (!conn->hello) {
		pass(conn, KSPLIT_PASS_OVERLOAD);
		return;
	}
	*conn->hello = *hello;
	/*
	 * The ULP goes onto sockets that are ESTABLISHED only: a client that half-closes early
	 * would be lost to the kernel later.
	 */
	info->rx_reason = server_ktls_reason(conn->worker->server, conn->generation->config);
	if (info->rx_reason == KSPLIT_NONE)
		conn_observe_enlist(conn, client);
	if (info->rx_reason == KSPLIT_NONE && ktls_install_ulp(client->fd))
		info->rx_reason = KSPLIT_KTLS_ULP_REFUSED;
	info->tx_reason = info->rx_reason;
	conn_destination_find(conn);
}

static void parse(struct conn *conn, const uint8_t *bytes, size_t len, bool at_end)
{
	struct client_hello hello;
	size_t need;

	switch (client_hello_parse(bytes, len, &hello, &need)) {
	case 1: decide(conn, &hello); break;
	case 0:
		/* A FIN inside the hello: the origin may make of it what it likes. */
		if (at_end)
			pass(conn, KSPLIT_PASS_HELLO_MALFORMED);
		break;
	case -EPROTO: pass(conn, KSPLIT_PASS_NOT_TLS); break;
	case -EMSGSIZE: pass(conn, KSPLIT_PASS_HELLO_TOO_LARGE); break;
	default: pass(conn, KSPLIT_PASS_HELLO_MALFORMED); break;
	}
}

void conn_peek_ready(struct conn *conn, uint32_t events)
{
	struct relay_env *env = &conn->worker->relay_env;
	ssize_t n;

	do {
		n = recv(conn->side[SIDE_CLIENT].fd, env->scratch, env->scratch_len,
			 MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		parse(conn, env->scratch, (size_t)n, events & (EPOLLRDHUP | EPOLLHUP));
	else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
		conn_abort(conn, KSPLIT_CLIENT_GONE);
}

void conn_peek_expired(struct conn *conn)
{
	uint8_t byte;

	/* Nothing at all so far: in some protocols the server speaks first. */
	if (recv(conn->side[SIDE_CLIENT].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    conn->listener->destination != DESTINATION_SNI)
		pass(conn, KSPLIT_PASS_SERVER_FIRST);
	else
		conn_refuse(conn, KSPLIT_PEEK_TIMEOUT, ALERT_UNRECOGNIZED_NAME);
}
