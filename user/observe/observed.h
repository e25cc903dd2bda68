/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_OBSERVED_H
#define KSPLIT_OBSERVE_OBSERVED_H

#include <sys/queue.h>

#include "observe/http_decoder.h"
#include "observe/observer.h"

/* The observer's table of open connections. One thread. */

struct observed {
	LIST_ENTRY(observed) link;	 /* bucket */
	TAILQ_ENTRY(observed) close_link; /* while it waits for its last events */
	struct observer *observer;	 /* not owned */
	struct observe_conn conn;
	struct aggregate_memo memo;	 /* of `conn` */
	enum ksplit_sampler sampler;
	struct http_decoder *decoder;	 /* owned; NULL: no event came yet, or no memory */
	bool not_http;
	struct observer_close *close;	 /* owned; NULL: open */
};

LIST_HEAD(observed_bucket, observed);

struct observed_table {
	struct observed_bucket *buckets; /* owned */
	size_t buckets_len;		 /* a power of two */
	size_t len;
};

/* 0 or -ENOMEM. */
int observed_table_init(struct observed_table *table);
void observed_table_free(struct observed_table *table); /* and all that is in it */

struct observed *observed_find(const struct observed_table *table, uint64_t id);

/* NULL: out of memory. The table owns it until observed_remove, which frees it. */
struct observed *observed_add(struct observed_table *table, uint64_t id);
void observed_remove(struct observed_table *table, struct observed *observed);

#endif
