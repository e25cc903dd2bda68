/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_ENDPOINT_TABLE_H
#define KSPLIT_OBSERVE_ENDPOINT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/aggregate.h"
#include "observe/endpoint_figures.h"
#include "observe/key_hash.h"

/*
 * The endpoints of an aggregate, by address, port and direction: a hash table of at most `max`, and
 * "other". When it is full a new endpoint takes the place of the one that had no open connection
 * for the longest time, which is added to "other"; if all have some, the new one is counted in
 * "other". Every call costs O(1). No locks.
 */
struct endpoint_table {
	struct endpoint_node **buckets; /* owned, with all nodes */
	uint32_t buckets_len;           /* a power of two */
	uint32_t len, max;
	struct key_hash hash;
	struct endpoint_node *idle_first,
		*idle_last; /* those without open connections, oldest first */
	struct endpoint_figures other;
	uint64_t evicted; /* endpoints that made room */
};

/* 0 or -ENOMEM. */
int endpoint_table_init(struct endpoint_table *table, uint32_t max);
void endpoint_table_free(struct endpoint_table *table);

/* These are the functions of aggregate.h of the same name. */
void endpoint_table_open(struct endpoint_table *table, const struct observe_conn *conn,
			 const struct aggregate_time *now);
void endpoint_table_close(struct endpoint_table *table, const struct observe_conn *conn,
			  const struct conn_info *info, const struct aggregate_tcp *tcp,
			  bool opened, const struct aggregate_time *now);

/*
 * `known`: what the last call for this connection returned, as long as `evicted` stays the same;
 * NULL: nothing. Returns the connection's endpoint; NULL: "other".
 */
struct endpoint_node *endpoint_table_add_request(struct endpoint_table *table,
						 struct endpoint_node *known,
						 const struct observe_conn *conn, bool failed,
						 const struct aggregate_time *now);

/* A deep copy of all, "other" last when it has anything. 0 or -ENOMEM (nothing is owned). */
int endpoint_table_copy(const struct endpoint_table *table, const struct aggregate_time *now,
			struct endpoint **out, size_t *out_len);

/* Bytes of the heap. */
size_t endpoint_table_memory(const struct endpoint_table *table);

#endif
