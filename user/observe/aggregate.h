/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_AGGREGATE_H
#define KSPLIT_OBSERVE_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/histogram.h"
#include "observe/request.h"
#include "observe/uri_template.h"

/*
 * Requests and connections summed up: one series for each combination of attributes, one endpoint
 * for each origin. The number of both is capped; beyond the cap the heaviest are kept and all
 * others are summed as one series "other" (its `other` is set, its attributes are empty). Counters
 * never go down as long as a series is kept; a series that makes room for a heavier one is added to
 * "other", so that sums over everything stay exact. Thread-safe: the observer writes, exports take
 * snapshots.
 */
struct aggregate;

struct aggregate_limits {
	uint32_t max_series;	/* beside "other" */
	uint32_t max_endpoints; /* beside "other" */
};

/* The attributes of a series. */
struct series_key {
	enum observe_direction direction;
	char server_name[256]; /* SNI, else Host without its port, else the address */
	union conn_address endpoint;
	char method[OBSERVE_METHOD_MAX]; /* known ones (RFC 9110 9, ...); others are "_OTHER" */
	char uri[URI_TEMPLATE_MAX];
	int status;	 /* 0: no response */
	int grpc_status; /* -1: not gRPC */
	enum observe_http_version version;
	uint16_t tls_version, tls_suite;
	char command[16]; /* of the calling process; "" */
	char unit[128];	  /* its systemd unit or cgroup; "" */
};

/* Sum, least and greatest of what is not worth a histogram. */
struct aggregate_sum {
	uint64_t sum, min, max; /* avg: sum / count */
};

struct series {
	struct series_key key; /* nothing but `other` counts when that is set */
	bool other;
	uint32_t pid;	   /* at first sight; 0: not known */
	uint64_t count;	   /* requests */
	uint64_t failures; /* no response, status 500 and above, or a gRPC status other than 0 */
	double per_second; /* over the last ten seconds */
	struct aggregate_sum request_bytes, response_bytes;	/* whole messages */
	struct aggregate_sum request_body, response_body;
	struct histogram first_byte_us, last_byte_us; /* their count can be less than `count` */
	int64_t first_seen_ms, last_seen_ms; /* wall clock */
};

struct endpoint {
	union conn_address address; /* origin */
	char server_name[256];	    /* SNI of its first connection */
	enum observe_direction direction;
	bool other;
	uint64_t connections, open; /* all since the start; of these still open */
	uint64_t passed;	    /* of these raw */
	uint64_t failed;	    /* ended before bytes could flow */
	uint64_t requests, failures; /* as in series */
	double connections_per_second;
	uint64_t bytes_to_origin, bytes_to_client; /* of ended connections */
	uint64_t relayed[CONN_RELAY_RAW + 1]; /* flows (two a connection) by enum conn_relay */
	uint64_t kernel_directions, directions; /* of four a connection: in kernel TLS; all */
	struct histogram connect_us, upstream_handshake_us, client_handshake_us, leaf_us;
	struct histogram lifetime_us;
	struct histogram rtt_us;   /* to the origin */
	uint64_t retransmits;	   /* segments, to the origin */
	int64_t first_seen_ms, last_seen_ms;
};

/* Everything at one moment; owned by the caller. */
struct aggregate_snapshot {
	struct series *series; /* in no order; "other" is the last one, when it has anything */
	size_t series_len;
	struct endpoint *endpoints;
	size_t endpoints_len;
	uint64_t series_evicted; /* that made room since the start */
	uint64_t requests;	 /* of all series together */
	uint32_t max_series, max_endpoints;
	size_t memory;		 /* bytes that the aggregate holds */
	int64_t time_ms;	 /* wall clock of the snapshot */
	int64_t start_ms;	 /* ... and of the aggregate's beginning */
};

/* Caller owns *out. 0 or -ENOMEM. */
int aggregate_new(const struct aggregate_limits *limits, struct aggregate **out);
void aggregate_free(struct aggregate *aggregate);

/* A request is over. */
void aggregate_add_request(struct aggregate *aggregate, const struct observe_conn *conn,
			   const struct observe_request *request);

/*
 * Where a connection's last requests were counted, so that the next ones alike are counted without
 * looking for their series: most connections repeat themselves. Requests are known by a hash under
 * the aggregate's secret: a URI may hold something that its template does not tell, and a
 * connection may stay for days. The caller has one for a connection, all zeros at first.
 */
#define AGGREGATE_MEMO_SLOTS 8
struct aggregate_memo {
	struct endpoint_node *endpoint; /* NULL: not known */
	uint64_t series_evicted, endpoints_evicted; /* then; a node may be gone when they differ */
	struct aggregate_memo_slot {
		uint64_t hash;
		struct series_node *series; /* NULL: nothing is remembered here */
	} slots[AGGREGATE_MEMO_SLOTS];
};

/* The same, of a connection whose attributes are the same as when `memo` was used last. */
void aggregate_add_request_again(struct aggregate *aggregate, const struct observe_conn *conn,
				 struct aggregate_memo *memo,
				 const struct observe_request *request);

/* A connection reached its relay; and it ended (also one that never got there: `opened` false). */
void aggregate_open(struct aggregate *aggregate, const struct observe_conn *conn);

/* RTT and retransmits of the upstream socket at its end (struct tcp_info); 0: not known. */
struct aggregate_tcp {
	uint32_t rtt_us;
	uint32_t retransmits;
};
void aggregate_close(struct aggregate *aggregate, const struct observe_conn *conn,
		     const struct conn_info *info, const struct aggregate_tcp *tcp, bool opened);

/* 0 or -ENOMEM. */
int aggregate_snapshot(struct aggregate *aggregate, struct aggregate_snapshot *out);
void aggregate_snapshot_free(struct aggregate_snapshot *snapshot);

#endif
