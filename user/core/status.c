// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ksplit/version.h>

#include "core/capture_hook.h"
#include "core/conn.h"
#include "core/handover_give.h"
#include "core/reload.h"
#include "core/status_certs.h"
#include "core/status_passes.h"
#include "core/tapping.h"
#include "core/worker_round.h"
#include "export/metrics_source.h"
#include "export/otlp_client.h"
#include "tls/session_cache.h"

/* A worker that does not answer within this hangs. */
#define SNAPSHOT_TIMEOUT_S 5
/* Whoever has capture switched waits 5 s for an answer. */
#define SWITCH_MS 4500

static void read_stats(void *ctx, struct stats_sum *out)
{
	const struct server *server = ctx;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < server->workers_len; i++)
		stats_sum_add(out, &server->workers[i].stats);
	out->counters[STAT_SESSIONS_EXPIRED] += atomic_load(&server->sessions_expired);
}

static const char *const relay_names[] = {[RELAY_AUTO] = "auto",
					  [RELAY_SPLICE] = "splice",
					  [RELAY_COPY] = "copy",
					  [RELAY_USER] = "user"};
static const char *const ktls_names[] = {
	[KTLS_AUTO] = "auto", [KTLS_OFF] = "off", [KTLS_REQUIRE] = "require"};
static const char *const verify_names[] = {
	[VERIFY_MIMIC] = "mimic", [VERIFY_REQUIRE] = "require", [VERIFY_OFF] = "off"};

static void read_open(const struct server *server, struct control_summary *out)
{
	for (size_t i = 0; i < server->workers_len; i++) {
		const struct worker *worker = &server->workers[i];

		for (int state = 0; state < CONN_STATES; state++)
			out->open_by_state[state] += atomic_load_explicit(
				&worker->open_by_state[state], memory_order_relaxed);
		out->open_passed +=
			atomic_load_explicit(&worker->open_passed, memory_order_relaxed);
	}
}

static void read_leaf_cache(struct leaf_cache *leaves, struct control_summary *out)
{
	struct leaf_cache_stats stats;

	if (!leaves) /* no CA */
		return;
	leaf_cache_read_stats(leaves, &stats);
	out->leaf_cache.hits = stats.hits;
	out->leaf_cache.misses = stats.misses;
	out->leaf_cache.forged = stats.forged;
	out->leaf_cache.failed = stats.failed;
	out->leaf_cache.waited = stats.waited;
	out->leaf_cache.evicted = stats.evicted;
	out->leaf_cache.entries = stats.entries;
}

static void read_session_cache(struct session_cache *sessions, struct control_summary *out)
{
	struct session_cache_stats stats;

	if (!sessions) /* switched off */
		return;
	session_cache_read_stats(sessions, &stats);
	out->session_cache.entries = stats.entries;
	out->session_cache.evicted = stats.evicted;
}

static void read_signer(struct signer *signer, struct control_summary *out)
{
	struct signer_stats stats;

	out->has_signer = signer;
	if (!signer)
		return;
	signer_read_stats(signer, &stats);
	out->signer.pid = (int)signer_pid(signer);
	out->signer.issued = stats.issued;
	out->signer.busy = stats.busy;
	out->signer.refused = stats.refused;
	out->signer.failed = stats.failed;
}

static void read_identities(const struct generation *generation, struct control_summary *out)
{
	struct identity_store_stats stats;

	if (!generation->identities)
		return;
	identity_store_read_stats(generation->identities, &stats);
	out->identities = generation->config->identities_len;
	out->identity_reloads = stats.reloads;
	out->identity_reloads_failed = stats.failed;
}

static void read_hook(const struct server *server, struct control_summary *out)
{
	struct steer_status status;

	capture_hook_read_status(server, &status);
	out->hook = status.state;
	out->hook_wanted = status.wanted;
	out->hook_attached = status.attached;
}

/* One sentence: why the daemon is not whole; NULL when it is. */
static const char *find_degraded(const struct server *server, const struct config *config,
				 const struct control_summary *summary)
{
	const enum capture_state rules = summary->capture.state, hook = summary->hook.state;

	if (config->ktls == KTLS_REQUIRE && !server->ktls.ulp)
		return "kernel TLS is required and this kernel has none: every intercepted "
		       "connection is closed";
	if (summary->has_signer && !summary->signer.pid)
		return "the signing process has gone: names without a cached leaf are passed "
		       "through unread until ksplitd is started again";
	if (rules == CAPTURE_FAILED || hook == CAPTURE_FAILED)
		return "capture could not be switched on: connections go past ksplit "
		       "(ksplit-status capture tells why)";
	if (rules == CAPTURE_WITHDRAWN || hook == CAPTURE_WITHDRAWN)
		return "capture was withdrawn and comes back by itself: until then connections "
		       "go past ksplit (ksplit-status capture tells why)";
	return NULL;
}

static void read_summary(void *ctx, struct control_summary *out)
{
	struct server *server = ctx;
	struct generation *generation = server_generation(server);
	const struct config *config = generation->config;

	*out = (struct control_summary){
		.version = KSPLIT_VERSION,
		.pid = (int)getpid(),
		.start_ms = server->start_ms,
		.workers = (unsigned int)server->workers_len,
		.draining = atomic_load(&server->draining),
		.max_connections = server->max_connections,
		.relay = relay_names[config->relay],
		.ktls = ktls_names[config->ktls],
		.verify = verify_names[config->verify],
		.ktls_ulp = server->ktls.ulp,
		.ktls_rekey = server->ktls.rekey,
		.ktls_ulp_errno = server->ktls.ulp_errno,
		.openssl = OpenSSL_version(OPENSSL_VERSION),
	};
	_Static_assert(sizeof(out->ktls_tx) == sizeof(server->ktls.tx), "same indexes");
	memcpy(out->ktls_tx, server->ktls.tx, sizeof(out->ktls_tx));
	memcpy(out->ktls_rx, server->ktls.rx, sizeof(out->ktls_rx));
	capturing_read(server->capturing, &out->capture);
	read_hook(server, out);
	read_open(server, out);
	read_leaf_cache(generation->issuer->leaves, out);
	read_session_cache(server->sessions, out);
	read_signer(generation->issuer->signer, out);
	read_identities(generation, out);
	reload_read(server->reload, &out->reload);
	out->degraded = find_degraded(server, config, out);
	generation_put(generation);
}

static void switch_capture(void *ctx, bool on, const char *by)
{
	struct server *server = ctx;
	const uint64_t start = worker_clock_us();
	unsigned int passed;

	/* Both at once, so that together they take no longer than one. */
	capture_hook_switch(server, on, by);
	capturing_switch(server->capturing, on, by);
	passed = (unsigned int)((worker_clock_us() - start) / 1000);
	capture_hook_await(server, passed < SWITCH_MS ? SWITCH_MS - passed : 0);
}

static void upgrade(void *ctx, const char *by, struct control_upgrade *out)
{
	struct server *server = ctx;
	struct handover_outcome outcome;

	handover_give_ask(server->handover, by, &outcome);
	out->done = outcome.done;
	out->pid = (int)outcome.pid;
	snprintf(out->why, sizeof(out->why), "%s", outcome.why);
}

/* One worker's connections. */
struct worker_conns {
	struct worker_errand errand; /* first */
	struct conn_info *infos;
	size_t len;
	bool no_memory;
};

/* Taken on the workers' own threads. */
struct snapshot {
	struct worker_round round; /* first */
	size_t parts_len;
	struct worker_conns parts[];
};

static void free_snapshot(struct worker_round *round)
{
	struct snapshot *snapshot = (struct snapshot *)round;

	for (size_t i = 0; i < snapshot->parts_len; i++)
		free(snapshot->parts[i].infos);
	free(snapshot);
}

static void take_conns(struct worker_errand *errand)
{
	struct worker_conns *part = (struct worker_conns *)errand;
	const struct worker *worker = errand->worker;
	struct conn *conn;

	part->infos = calloc(worker->conns_len + 1, sizeof(*part->infos));
	part->no_memory = !part->infos;
	if (part->no_memory)
		return;
	LIST_FOREACH(conn, &worker->conns, link)
		conn_snapshot(conn, &part->infos[part->len++]);
}

/* When all are there. */
static int join_conns(const struct snapshot *snapshot, struct conn_info **out, size_t *count)
{
	size_t len = 0;

	for (size_t i = 0; i < snapshot->parts_len; i++) {
		if (snapshot->parts[i].no_memory)
			return -ENOMEM;
		len += snapshot->parts[i].len;
	}
	*out = calloc(len + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	*count = 0;
	for (size_t i = 0; i < snapshot->parts_len; i++) {
		const struct worker_conns *part = &snapshot->parts[i];

		if (part->len)
			memcpy(*out + *count, part->infos, part->len * sizeof(**out));
		*count += part->len;
	}
	return 0;
}

static int read_connections(void *ctx, struct conn_info **out, size_t *count)
{
	struct server *server = ctx;
	struct snapshot *snapshot =
		calloc(1, sizeof(*snapshot) + server->workers_len * sizeof(struct worker_conns));
	int err;

	if (!snapshot)
		return -ENOMEM;
	worker_round_init(&snapshot->round, free_snapshot);
	snapshot->parts_len = server->workers_len;
	for (size_t i = 0; i < server->workers_len; i++) {
		struct worker_errand *errand = &snapshot->parts[i].errand;

		errand->worker = &server->workers[i];
		errand->run = take_conns;
		if (!atomic_load(&server->workers[i].ended))
			worker_round_send(&snapshot->round, errand);
	}
	err = worker_round_wait(&snapshot->round, SNAPSHOT_TIMEOUT_S);
	if (!err)
		err = join_conns(snapshot, out, count);
	worker_round_put(&snapshot->round);
	return err;
}

static int read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	struct server *server = ctx;

	return aggregate_snapshot(observer_aggregate(server->observer), out);
}

static void read_observer(void *ctx, struct observer_status *out)
{
	struct server *server = ctx;

	observer_read_status(server->observer, out);
}

static bool read_otlp(void *ctx, struct otlp_stats *out)
{
	struct server *server = ctx;

	if (!server->otlp)
		return false;
	otlp_read_stats(server->otlp, out);
	return true;
}

void status_metrics_source(struct server *server, struct metrics_source *source)
{
	*source = (struct metrics_source){
		.ctx = server,
		.read_stats = read_stats,
		.read_summary = read_summary,
		.read_aggregate = read_aggregate,
		.read_observer = read_observer,
		.read_certs = status_read_own_certs,
		.read_otlp = read_otlp,
	};
}

static bool reload(void *ctx, const char *by, struct reload_status *out)
{
	struct server *server = ctx;

	return reload_ask(server->reload, by, out);
}

void status_source(struct server *server, struct control_source *source)
{
	*source = (struct control_source){
		.ctx = server,
		.read_stats = read_stats,
		.read_summary = read_summary,
		.read_connections = read_connections,
		.switch_capture = switch_capture,
		.upgrade = upgrade,
		.reload = reload,
		.read_aggregate = read_aggregate,
		.read_observer = read_observer,
		.read_otlp = read_otlp,
		.read_passes = status_read_passes,
		.read_certs = status_read_certs,
		.read_hook = capture_hook_read,
		.read_taps = tapping_read,
		.switch_tap = tapping_switch,
	};
}
