/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_STATS_H
#define KSPLIT_OBSERVE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include <ksplit/reason.h>

/*
 * X(identifier, JSON group, JSON name). Monotonic counters; each worker counts its own and readers
 * sum.
 */
#define STATS_COUNTERS(X)                                                                          \
	X(ACCEPTED, "connections", "accepted")                                                     \
	X(INTERCEPTED, "connections", "intercepted")                                               \
	X(PASSED, "connections", "passed")                                                         \
	X(CLOSED, "connections", "closed")                                                         \
	X(ACCEPT_PAUSED, "connections", "accept_paused")                                           \
	X(HANDSHAKES_CLIENT, "handshakes", "client_completed")                                     \
	X(HANDSHAKES_CLIENT_FAILED, "handshakes", "client_failed")                                 \
	X(HANDSHAKES_CLIENT_RESUMED, "handshakes", "client_resumed")                               \
	X(HANDSHAKES_UPSTREAM, "handshakes", "upstream_completed")                                 \
	X(HANDSHAKES_UPSTREAM_FAILED, "handshakes", "upstream_failed")                             \
	X(KTLS_CLIENT_RX, "ktls", "client_rx")                                                     \
	X(KTLS_CLIENT_TX, "ktls", "client_tx")                                                     \
	X(KTLS_UPSTREAM_RX, "ktls", "upstream_rx")                                                 \
	X(KTLS_UPSTREAM_TX, "ktls", "upstream_tx")                                                 \
	X(USER_CLIENT_RX, "user_tls", "client_rx")                                                 \
	X(USER_CLIENT_TX, "user_tls", "client_tx")                                                 \
	X(USER_UPSTREAM_RX, "user_tls", "upstream_rx")                                             \
	X(USER_UPSTREAM_TX, "user_tls", "upstream_tx")                                             \
	X(BYTES_TO_ORIGIN, "bytes", "to_origin")                                                   \
	X(BYTES_TO_CLIENT, "bytes", "to_client")                                                   \
	X(BYTES_SPLICED, "bytes", "spliced")                                                       \
	X(BYTES_COPIED, "bytes", "copied")                                                         \
	X(BYTES_USER, "bytes", "user")                                                             \
	X(BYTES_RAW, "bytes", "raw")                                                               \
	X(ALERTS_FORWARDED, "records", "alerts_forwarded")                                         \
	X(TICKETS_SWALLOWED, "records", "tickets_swallowed")                                       \
	X(KEY_UPDATES, "records", "key_updates")                                                   \
	X(REKEYS, "records", "rekeys")                                                             \
	X(RECORD_LIMITS, "records", "record_limits")                                               \
	X(ACCESS_LOG_DROPPED, "access_log", "dropped")

#define STATS_ENUM(id, group, name) STAT_##id,
enum stats_counter { STATS_COUNTERS(STATS_ENUM) STAT_COUNT };
#undef STATS_ENUM

/* One worker's counters: one writer (the worker), any readers. */
struct stats {
	_Atomic uint64_t counters[STAT_COUNT];
	_Atomic uint64_t reasons[KSPLIT_REASON_COUNT];
};

/* A sum of several, plain numbers. */
struct stats_sum {
	uint64_t counters[STAT_COUNT];
	uint64_t reasons[KSPLIT_REASON_COUNT];
};

/* Single writer: a relaxed load and store is enough and costs no bus lock. */
static inline void stats_add(struct stats *stats, enum stats_counter counter, uint64_t n)
{
	_Atomic uint64_t *c = &stats->counters[counter];

	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void stats_count_reason(struct stats *stats, enum ksplit_reason reason)
{
	_Atomic uint64_t *c = &stats->reasons[reason];

	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Add a worker's counters to a sum; any thread. */
void stats_sum_add(struct stats_sum *sum, const struct stats *stats);

/* JSON group and name of a counter; static strings. */
const char *stats_group(enum stats_counter counter);
const char *stats_name(enum stats_counter counter);

#endif
