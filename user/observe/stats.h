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
	X(HANDSHAKES_UPSTREAM_RESUMED, "handshakes", "upstream_resumed")                           \
	X(HANDSHAKES_PARALLEL, "handshakes", "parallel")                                           \
	X(HANDSHAKES_PARALLEL_WRONG, "handshakes", "parallel_wrong")                               \
	X(SESSIONS_HITS, "sessions", "upstream_hits")                                              \
	X(SESSIONS_MISSES, "sessions", "upstream_misses")                                          \
	X(SESSIONS_STORED, "sessions", "upstream_stored")                                          \
	X(SESSIONS_EXPIRED, "sessions", "upstream_expired")                                        \
	X(SESSIONS_REFUSED, "sessions", "upstream_refused")                                        \
	X(SESSIONS_CLIENT_REFUSED, "sessions", "client_tickets_refused")                           \
	X(FAULT_UNTRUSTED, "origin_faults", "untrusted")                                           \
	X(FAULT_SELF_SIGNED, "origin_faults", "self_signed")                                       \
	X(FAULT_EXPIRED, "origin_faults", "expired")                                               \
	X(FAULT_NOT_YET_VALID, "origin_faults", "not_yet_valid")                                   \
	X(FAULT_CHAIN_TIME, "origin_faults", "chain_time")                                         \
	X(FAULT_NAME, "origin_faults", "wrong_name")                                               \
	X(FAULT_PURPOSE, "origin_faults", "wrong_purpose")                                         \
	X(FAULT_REVOKED, "origin_faults", "revoked")                                               \
	X(FAULT_WEAK_KEY, "origin_faults", "weak_key")                                             \
	X(FAULT_WEAK_SIGNATURE, "origin_faults", "weak_signature")                                 \
	X(FAULT_PIN, "origin_faults", "pin_mismatch")                                              \
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
	X(UPGRADE_SMTP, "starttls", "smtp")                                                        \
	X(UPGRADE_IMAP, "starttls", "imap")                                                        \
	X(UPGRADE_POP3, "starttls", "pop3")                                                        \
	X(UPGRADE_FTP, "starttls", "ftp")                                                          \
	X(UPGRADE_LDAP, "starttls", "ldap")                                                        \
	X(UPGRADE_POSTGRESQL, "starttls", "postgresql")                                            \
	X(UPGRADE_MYSQL, "starttls", "mysql")                                                      \
	X(UPGRADE_CONNECT, "starttls", "connect")                                                  \
	X(UPGRADE_XMPP, "starttls", "xmpp")                                                        \
	X(UPGRADE_NNTP, "starttls", "nntp")                                                        \
	X(UPGRADE_SIEVE, "starttls", "sieve")                                                      \
	X(UPGRADE_OTHER, "starttls", "other")                                                      \
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
