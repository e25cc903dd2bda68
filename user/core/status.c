// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ksplit/version.h>

#include "core/capture_hook.h"
#include "core/conn.h"
#include "core/handover_give.h"
#include "core/reload.h"
#include "core/status_passes.h"
#include "export/metrics_source.h"
#include "export/otlp_client.h"

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

/*
 * A snapshot is taken on the workers' own threads. The object is shared by the asker and the
 * workers asked, and freed by the last of them, so that an asker can give up on a worker that
 * hangs.
 */
struct snapshot {
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	size_t references;
	size_t missing;
	struct conn_info *infos;
	size_t len;
	bool no_memory;
};

struct snapshot_post {
	struct worker_post post; /* first */
	struct worker *worker;
	struct snapshot *snapshot;
};

static void snapshot_put(struct snapshot *snapshot)
{
	size_t left;

	pthread_mutex_lock(&snapshot->lock);
	left = --snapshot->references;
	pthread_mutex_unlock(&snapshot->lock);
	if (left)
		return;
	pthread_cond_destroy(&snapshot->arrived);
	pthread_mutex_destroy(&snapshot->lock);
	free(snapshot->infos);
	free(snapshot);
}

static void snapshot_add(struct snapshot *snapshot, const struct worker *worker)
{
	struct conn_info *infos;
	struct conn *conn;

	infos = reallocarray(snapshot->infos, snapshot->len + worker->conns_len + 1,
			     sizeof(*infos));
	if (!infos) {
		snapshot->no_memory = true;
		return;
	}
	snapshot->infos = infos;
	LIST_FOREACH(conn, &worker->conns, link)
		conn_snapshot(conn, &infos[snapshot->len++]);
}

static void snapshot_run(struct worker_post *post)
{
	struct snapshot_post *order = (struct snapshot_post *)post;
	struct snapshot *snapshot = order->snapshot;

	pthread_mutex_lock(&snapshot->lock);
	snapshot_add(snapshot, order->worker);
	snapshot->missing--;
	pthread_cond_signal(&snapshot->arrived);
	pthread_mutex_unlock(&snapshot->lock);
	snapshot_put(snapshot);
	free(order);
}

static int snapshot_ask(struct snapshot *snapshot, struct worker *worker)
{
	struct snapshot_post *order = calloc(1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	order->post.run = snapshot_run;
	order->worker = worker;
	order->snapshot = snapshot;
	pthread_mutex_lock(&snapshot->lock);
	snapshot->references++;
	snapshot->missing++;
	pthread_mutex_unlock(&snapshot->lock);
	worker_post(worker, &order->post);
	return 0;
}

static int snapshot_wait(struct snapshot *snapshot)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SNAPSHOT_TIMEOUT_S;
	pthread_mutex_lock(&snapshot->lock);
	while (snapshot->missing && !err)
		err = pthread_cond_timedwait(&snapshot->arrived, &snapshot->lock, &until);
	pthread_mutex_unlock(&snapshot->lock);
	return -err;
}

static int read_connections(void *ctx, struct conn_info **out, size_t *count)
{
	struct server *server = ctx;
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int err = 0;

	if (!snapshot)
		return -ENOMEM;
	pthread_mutex_init(&snapshot->lock, NULL);
	pthread_cond_init(&snapshot->arrived, NULL);
	snapshot->references = 1;
	for (size_t i = 0; !err && i < server->workers_len; i++)
		if (!atomic_load(&server->workers[i].ended))
			err = snapshot_ask(snapshot, &server->workers[i]);
	if (!err)
		err = snapshot_wait(snapshot);
	pthread_mutex_lock(&snapshot->lock);
	if (!err && snapshot->no_memory)
		err = -ENOMEM;
	if (!err) {
		*out = snapshot->infos;
		*count = snapshot->len;
		snapshot->infos = NULL;
	}
	pthread_mutex_unlock(&snapshot->lock);
	snapshot_put(snapshot);
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
		.read_hook = capture_hook_read,
	};
}
