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
#include "relay/starttls.h"
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

static void await_hello(struct conn *conn)
{
	deadline_set(&conn->worker->deadlines, &conn->deadline, DEADLINE_PEEK,
		     conn->worker->now_us);
}

/*
 * The first kind of leaf key where the client can do with it, else the other. Its leaf has to be
 * signed in a way that the client knows, too.
 */
static enum ksplit_reason choose_leaf_key(struct conn *conn, const struct client_hello *hello)
{
	const struct generation *generation = conn->generation;
	const enum leaf_key_kind first = leaf_keys_first(generation->issuer->leaf_keys);
	const bool p384 = !strcmp(generation->config->leaf_key_type, "P-384");
	const unsigned int keys[] = {
		[LEAF_KEY_EC] = p384 ? TLS_KEY_P384 : TLS_KEY_P256,
		[LEAF_KEY_RSA] = TLS_KEY_RSA,
	};

	if (!client_hello_verifies(hello, signer_algorithm(generation->issuer->signer)))
		return KSPLIT_PASS_NO_SIGNATURE;
	conn->leaf_key = first;
	if (tls_context_can_serve(generation->tls, hello, keys[first]))
		return KSPLIT_NONE;
	conn->leaf_key = first == LEAF_KEY_EC ? LEAF_KEY_RSA : LEAF_KEY_EC;
	return tls_context_can_serve(generation->tls, hello, keys[conn->leaf_key])
		       ? KSPLIT_NONE
		       : KSPLIT_PASS_NO_CIPHER;
}

/* KSPLIT_NONE: we can; KSPLIT_NO_MEMORY; else why it is passed. */
static enum ksplit_reason can_serve(struct conn *conn, const struct client_hello *hello)
{
	if (!tls_context_serves_version(conn->generation->tls, hello))
		return tls_context_refuses_old_client(conn->generation->tls)
			       ? KSPLIT_VERSION_REFUSED
			       : KSPLIT_PASS_NO_VERSION;
	if (conn->listener->incoming)
		return conn_service_identify(conn, hello);
	/* The self-test of capture where no leaf is ever forged. */
	if (!conn->generation->issuer->ca)
		return KSPLIT_PASS_NO_IDENTITY;
	return choose_leaf_key(conn, hello);
}

enum ksplit_reason conn_peek_take(struct conn *conn, const struct client_hello *hello)
{
	struct conn_socket *client = &conn->side[SIDE_CLIENT];
	struct conn_side_info *info = &conn->info.side[SIDE_CLIENT];
	enum ksplit_reason reason;

	memcpy(conn->info.sni, hello->sni, sizeof(conn->info.sni));
	reason = can_serve(conn, hello);
	if (reason != KSPLIT_NONE)
		return reason;
	conn->hello = malloc(sizeof(*conn->hello));
	if (!conn->hello)
		return KSPLIT_PASS_OVERLOAD;
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
	return KSPLIT_NONE;
}

static void decide(struct conn *conn, const struct client_hello *hello)
{
	enum ksplit_reason reason = conn_peek_take(conn, hello);

	if (reason == KSPLIT_NO_MEMORY)
		conn_abort(conn, reason);
	else if (reason == KSPLIT_VERSION_REFUSED)
		conn_refuse(conn, reason, ALERT_PROTOCOL_VERSION);
	else if (reason != KSPLIT_NONE)
		pass(conn, reason);
	else
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
		else if (conn->deadline.kind == DEADLINE_SILENCE)
			await_hello(conn);
		break;
	case -EPROTO:
		if (starttls_is_http(bytes, len) ||
		    !conn_starttls_begin(conn, KSPLIT_PASS_NOT_TLS))
			pass(conn, KSPLIT_PASS_NOT_TLS);
		break;
	case -EMSGSIZE: pass(conn, KSPLIT_PASS_HELLO_TOO_LARGE); break;
	default: pass(conn, KSPLIT_PASS_HELLO_MALFORMED); break;
	}
}

void conn_peek_begin(struct conn *conn)
{
	if (conn_starttls_wanted(conn))
		deadline_set(&conn->worker->deadlines, &conn->deadline, DEADLINE_SILENCE,
			     conn->worker->now_us);
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
	bool early = conn->deadline.kind == DEADLINE_SILENCE;
	uint8_t byte;

	/* Nothing at all so far: in some protocols the server speaks first. */
	if (recv(conn->side[SIDE_CLIENT].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	    conn->listener->destination != DESTINATION_SNI) {
		if (!early || !conn_starttls_begin(conn, KSPLIT_PASS_SERVER_FIRST))
			pass(conn, KSPLIT_PASS_SERVER_FIRST);
	} else if (early) {
		await_hello(conn);
	} else {
		conn_refuse(conn, KSPLIT_PEEK_TIMEOUT, ALERT_UNRECOGNIZED_NAME);
	}
}
