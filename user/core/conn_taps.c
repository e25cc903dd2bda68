// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which connections are tapped (docs/taps.md): those that are decrypted and that the configuration
 * means.
 */
#include <string.h>

#include "core/conn.h"
#include "core/server.h"
#include "tap/taps.h"

static bool is_wanted(const struct conn *conn)
{
	const struct policy_call call = {
		.sni = conn->info.sni, .addresses = &conn->info.upstream, .addresses_len = 1};

	return !conn->self_test && !conn->info.passed &&
	       policy_rule_matches(&conn->generation->config->taps.which, &call);
}

static void on_key_line(void *ctx, const char *line)
{
	taps_key_line(ctx, line);
}

void conn_taps_keys(struct conn *conn, struct conn_socket *side)
{
	struct taps *taps = conn->worker->server->taps;

	if (taps && taps_want_keys(taps, side->is_client ? SIDE_CLIENT : SIDE_UPSTREAM) &&
	    conn->generation->config->taps.keylog && is_wanted(conn))
		side->session.track.log =
			(struct key_log){.line = on_key_line, .ctx = taps};
}

void conn_taps_begin(struct conn *conn)
{
	struct taps *taps = conn->worker->server->taps;
	const struct config_taps *config = &conn->generation->config->taps;
	const struct conn_info *info = &conn->info;
	struct tap_about about;

	if (!taps || !taps_want_content(taps) || !is_wanted(conn))
		return;
	about = (struct tap_about){
		.id = info->id,
		.start_ms = info->start_ms,
		.client = info->client,
		.origin = info->upstream,
		.version = info->side[SIDE_CLIENT].version,
		.incoming = info->incoming,
		.wanted = {[TAP_CONTENT] = config->content, [TAP_PCAPNG] = config->pcapng},
	};
	memcpy(about.sni, info->sni, sizeof(about.sni));
	memcpy(about.alpn, info->alpn, sizeof(about.alpn));
	conn->content = tap_conn_new(taps, &about);
	for (int i = 0; i < FLOWS; i++) {
		conn->flow[i].content = conn->content;
		conn->flow[i].content_flow = (enum conn_flow)i;
	}
}

void conn_taps_end(struct conn *conn)
{
	for (int i = 0; i < FLOWS; i++)
		conn->flow[i].content = NULL;
	tap_conn_end(conn->content);
	conn->content = NULL;
}
