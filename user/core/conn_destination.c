// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a connection goes: the configured host, the name in the SNI, or where the client wanted to
 * go.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/original_dst.h"
#include "capture/self_test.h"
#include "capture/steer.h"
#include "core/conn.h"
#include "core/log.h"
#include "core/own_address.h"
#include "core/server.h"
#include "tls/protocol.h"

static bool address_of_text(const char *host, uint16_t port, union conn_address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &out->in.sin_addr) == 1) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(port);
		return true;
	}
	if (inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		return true;
	}
	return false;
}

static bool addresses_reserve(struct conn *conn)
{
	if (!conn->addresses)
		conn->addresses = calloc(CONN_MAX_ADDRESSES, sizeof(*conn->addresses));
	conn->addresses_len = conn->addresses_next = 0;
	if (!conn->addresses)
		conn_abort(conn, KSPLIT_NO_MEMORY);
	return conn->addresses;
}

/* Would it come back to us? */
static bool is_self(const struct conn *conn, const struct sockaddr *address)
{
	return own_address_is_one(conn->generation->listeners, conn->generation->listeners_len,
				  address);
}

static void connect_to(struct conn *conn, const union conn_address *address)
{
	if (is_self(conn, &address->sa)) {
		log_warn("connection %lu: its destination is ksplitd itself; refused (is the "
			 "client meant to come through a redirect rule?)",
			 (unsigned long)conn->info.id);
		conn_refuse(conn, KSPLIT_DESTINATION_SELF, ALERT_ACCESS_DENIED);
		return;
	}
	if (!addresses_reserve(conn))
		return;
	conn->addresses[conn->addresses_len++] = *address;
	conn_upstream_connect(conn);
}

static void answered(struct resolver_request *request)
{
	struct conn *conn = request->asker;
	bool self = false;

	conn->resolving = NULL;
	if (!request->error && addresses_reserve(conn)) {
		for (struct addrinfo *ai = request->addresses;
		     ai && conn->addresses_len < CONN_MAX_ADDRESSES; ai = ai->ai_next) {
			union conn_address *slot = &conn->addresses[conn->addresses_len];

			if (ai->ai_addrlen > sizeof(*slot))
				continue;
			if (is_self(conn, ai->ai_addr)) {
				self = true;
				continue;
			}
			memcpy(slot, ai->ai_addr, ai->ai_addrlen);
			conn->addresses_len++;
		}
	}
	if (!conn->dead) {
		if (request->error)
			log_info("connection %lu: no address for %s: %s",
				 (unsigned long)conn->info.id, request->host,
				 gai_strerror(request->error));
		if (conn->addresses && conn->addresses_len)
			conn_upstream_connect(conn);
		else
			conn_refuse(conn, self ? KSPLIT_DESTINATION_SELF : KSPLIT_RESOLVE_FAILED,
				    self ? ALERT_ACCESS_DENIED : ALERT_UNRECOGNIZED_NAME);
	}
	resolver_request_free(request);
}

static void resolve(struct conn *conn, const char *host)
{
	conn_enter(conn, CONN_RESOLVE);
	if (resolver_ask(conn->worker->server->resolver, conn->worker, host, conn->listener->port,
			 conn, answered, &conn->resolving))
		conn_refuse(conn, KSPLIT_RESOLVE_FAILED, ALERT_INTERNAL_ERROR);
}

static void find_original(struct conn *conn)
{
	bool tproxy = conn->listener->destination == DESTINATION_TPROXY;
	union conn_address address = {0};
	socklen_t len = sizeof(address);
	int fd = conn->side[SIDE_CLIENT].fd;
	int err = tproxy ? original_dst_read_tproxy(fd, &address.sa, &len)
			 : original_dst_read(fd, &address.sa, &len);

	if (!tproxy && own_sockets_has(conn->worker->server->own_sockets, &conn->info.client)) {
		log_warn("connection %lu: a redirect rule brings ksplitd's own calls back to it; "
			 "refused (leave its user, mark or cgroup out of the rule)",
			 (unsigned long)conn->info.id);
		conn_refuse(conn, KSPLIT_DESTINATION_SELF, ALERT_ACCESS_DENIED);
		return;
	}
	if (err == -ENOENT && conn->worker->server->steer)
		err = steer_find(conn->worker->server->steer, &conn->info.client.sa,
				 &conn->info.local.sa, &address.sa, &len);
	/* No rule or hook brought it here, so the only place it can have wanted to go to is us. */
	if (err == -ENOENT)
		conn_refuse(conn, KSPLIT_DESTINATION_SELF, ALERT_ACCESS_DENIED);
	else if (err)
		conn_refuse(conn, KSPLIT_DESTINATION_UNKNOWN, ALERT_INTERNAL_ERROR);
	else
		connect_to(conn, &address);
}

static struct self_test *self_test_of(const struct conn *conn)
{
	return capturing_self_test(conn->worker->server->capturing);
}

void conn_destination_look_for_self(struct conn *conn)
{
	/* What a listener does for a service in particular is not what is tried. */
	static const struct config_listener plain = {.destination = DESTINATION_STATIC};
	union conn_address origin;

	if (!self_test_destination(self_test_of(conn), &conn->info.client.sa, &origin.sa))
		return;
	conn->self_test = true;
	conn->listener = &plain;
}

void conn_destination_find(struct conn *conn)
{
	const struct config_listener *listener = conn->listener;
	union conn_address address = {0};

	if (conn->self_test && self_test_destination(self_test_of(conn), &conn->info.client.sa,
						     &address.sa)) {
		connect_to(conn, &address);
		return;
	}
	switch (listener->destination) {
	case DESTINATION_STATIC:
		if (address_of_text(listener->host, listener->port, &address))
			connect_to(conn, &address);
		else
			resolve(conn, listener->host);
		break;
	case DESTINATION_SNI:
		if (conn->info.sni[0])
			resolve(conn, conn->info.sni);
		else
			conn_refuse(conn, KSPLIT_SNI_MISSING, ALERT_UNRECOGNIZED_NAME);
		break;
	default: find_original(conn); break;
	}
}
