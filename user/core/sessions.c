// SPDX-License-Identifier: GPL-2.0-or-later
/* What sessions can be resumed by, for all workers and generations. */
#include "core/sessions.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/handover_take.h"
#include "core/log.h"
#include "core/server.h"
#include "tls/session_cache.h"

#define PURGE_S 30

/* It goes on while the host sleeps, and nobody sets it. */
static int64_t clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

void sessions_read_config(const struct config *config, struct ticket_keys *keys,
			  struct tls_resumption *out)
{
	const struct config_sessions *sessions = &config->sessions;

	*out = (struct tls_resumption){
		.ticket_keys = keys,
		.client_tickets = sessions->client_tickets,
		.client_cache = sessions->client_cache,
		.client_lifetime_s = sessions->rotation_s,
		.upstream_sessions = sessions->upstream_cache > 0,
		.upstream_tickets = sessions->upstream_tickets && sessions->upstream_cache,
	};
}

int sessions_make_keys(const struct config *config, struct ticket_keys **out)
{
	return ticket_keys_new(config->sessions.rotation_s, clock_s(), out);
}

int sessions_init(struct server *server)
{
	const struct generation *generation = server->generation;
	const char *text = handover_take_tickets(server->takeover);

	if (text && text[0] && ticket_keys_import(generation->ticket_keys, clock_s(), text))
		log_warn("the keys of session tickets were not handed over: clients make full "
			 "handshakes once");
	handover_take_forget_tickets(server->takeover);
	if (!generation->config->sessions.upstream_cache)
		return 0;
	return session_cache_new(generation->config->sessions.upstream_cache, &server->sessions);
}

int sessions_watch_ms(const struct server *server)
{
	int64_t left = server->sessions_due_s - clock_s();

	return left > 0 ? (int)left * 1000 : 0;
}

void sessions_watch(struct server *server)
{
	struct ticket_keys *keys = server->generation->ticket_keys;
	int64_t now = clock_s();
	uint32_t next;

	if (now < server->sessions_due_s)
		return;
	ticket_keys_set_period(keys, server->generation->config->sessions.rotation_s);
	next = ticket_keys_run(keys, now);
	if (server->sessions)
		atomic_fetch_add(&server->sessions_expired,
				 session_cache_purge(server->sessions, time(NULL)));
	server->sessions_due_s = now + (next < PURGE_S ? next : PURGE_S);
}

void sessions_hand_over(const struct server *server, char *text, size_t len)
{
	if (ticket_keys_export(server->generation->ticket_keys, clock_s(), text, len))
		text[0] = '\0';
}
