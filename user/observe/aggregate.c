// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/aggregate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "observe/aggregate_clock.h"
#include "observe/aggregate_memo.h"
#include "observe/endpoint_table.h"
#include "observe/series_table.h"

struct aggregate {
	pthread_mutex_t lock; /* of what follows */
	struct series_table series;
	struct endpoint_table endpoints;
	uint64_t requests;
	int64_t start_ms;
	void (*read_clock)(void *ctx, struct aggregate_time *now);
	void *clock_ctx;
};

static void read_system_clock(void *ctx, struct aggregate_time *now)
{
	struct timespec wall, monotonic;

	(void)ctx;
	/* As of the last tick: milliseconds would be enough, and it is read for every request. */
	clock_gettime(CLOCK_REALTIME_COARSE, &wall);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &monotonic);
	now->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
	now->monotonic_ms =
		(uint64_t)monotonic.tv_sec * 1000 + (uint64_t)monotonic.tv_nsec / 1000000;
}

static void lock_and_read_clock(struct aggregate *aggregate, struct aggregate_time *now)
{
	pthread_mutex_lock(&aggregate->lock);
	/* Inside the lock, so that time does not go back between two calls. */
	aggregate->read_clock(aggregate->clock_ctx, now);
}

int aggregate_new(const struct aggregate_limits *limits, struct aggregate **out)
{
	struct aggregate *aggregate = calloc(1, sizeof(*aggregate));
	struct aggregate_time now;

	if (!aggregate)
		return -ENOMEM;
	if (series_table_init(&aggregate->series, limits->max_series))
		goto fail_series;
	if (endpoint_table_init(&aggregate->endpoints, limits->max_endpoints))
		goto fail_endpoints;
	pthread_mutex_init(&aggregate->lock, NULL);
	read_system_clock(NULL, &now);
	aggregate->start_ms = now.wall_ms;
	aggregate->read_clock = read_system_clock;
	*out = aggregate;
	return 0;

fail_endpoints:
	series_table_free(&aggregate->series);
fail_series:
	free(aggregate);
	return -ENOMEM;
}

void aggregate_free(struct aggregate *aggregate)
{
	if (!aggregate)
		return;
	pthread_mutex_destroy(&aggregate->lock);
	series_table_free(&aggregate->series);
	endpoint_table_free(&aggregate->endpoints);
	free(aggregate);
}

void aggregate_set_clock(struct aggregate *aggregate,
			 void (*read)(void *ctx, struct aggregate_time *now), void *ctx)
{
	struct aggregate_time now;

	aggregate->read_clock = read;
	aggregate->clock_ctx = ctx;
	read(ctx, &now);
	aggregate->start_ms = now.wall_ms;
}

static void count_endpoint(struct aggregate *aggregate, const struct observe_conn *conn,
			   struct aggregate_memo *memo, bool failed,
			   const struct aggregate_time *now)
{
	struct endpoint_table *endpoints = &aggregate->endpoints;

	if (memo->endpoints_evicted != endpoints->evicted)
		memo->endpoint = NULL;
	memo->endpoint = endpoint_table_add_request(endpoints, memo->endpoint, conn, failed, now);
	memo->endpoints_evicted = endpoints->evicted;
}

static void count_unknown(struct aggregate *aggregate, const struct observe_conn *conn,
			  struct aggregate_memo *memo, uint64_t hash,
			  const struct observe_request *request, const struct aggregate_time *now)
{
	struct series_table *table = &aggregate->series;
	struct series_node *series;
	struct series_key key;

	series_key_fill(&key, conn, request);
	series = series_table_add(table, &key, conn->process.pid, request, now);
	if (!request->path_cut)
		aggregate_memo_set(memo, hash, series, table->evicted);
}

void aggregate_add_request_again(struct aggregate *aggregate, const struct observe_conn *conn,
				 struct aggregate_memo *memo, const struct observe_request *request)
{
	struct series_table *table = &aggregate->series;
	uint64_t hash = aggregate_memo_hash(&table->hash, request);
	struct series_node *known = NULL;
	struct aggregate_time now;

	lock_and_read_clock(aggregate, &now);
	if (!request->path_cut)
		known = aggregate_memo_find(memo, hash, table->evicted);
	if (known)
		series_table_add_known(table, known, request, &now);
	else
		count_unknown(aggregate, conn, memo, hash, request, &now);
	count_endpoint(aggregate, conn, memo, series_figures_failed(request), &now);
	aggregate->requests++;
	pthread_mutex_unlock(&aggregate->lock);
}

void aggregate_add_request(struct aggregate *aggregate, const struct observe_conn *conn,
			   const struct observe_request *request)
{
	struct aggregate_memo memo = {0};

	aggregate_add_request_again(aggregate, conn, &memo, request);
}

void aggregate_open(struct aggregate *aggregate, const struct observe_conn *conn)
{
	struct aggregate_time now;

	lock_and_read_clock(aggregate, &now);
	endpoint_table_open(&aggregate->endpoints, conn, &now);
	pthread_mutex_unlock(&aggregate->lock);
}

void aggregate_close(struct aggregate *aggregate, const struct observe_conn *conn,
		     const struct conn_info *info, const struct aggregate_tcp *tcp, bool opened)
{
	struct aggregate_time now;

	lock_and_read_clock(aggregate, &now);
	endpoint_table_close(&aggregate->endpoints, conn, info, tcp, opened, &now);
	pthread_mutex_unlock(&aggregate->lock);
}

static int snapshot_locked(const struct aggregate *aggregate, const struct aggregate_time *now,
			   struct aggregate_snapshot *out)
{
	int ret;

	ret = series_table_copy(&aggregate->series, now, &out->series, &out->series_len);
	if (ret)
		return ret;
	ret = endpoint_table_copy(&aggregate->endpoints, now, &out->endpoints, &out->endpoints_len);
	if (ret)
		return ret;
	out->series_evicted = aggregate->series.evicted;
	out->requests = aggregate->requests;
	out->max_series = aggregate->series.max;
	out->max_endpoints = aggregate->endpoints.max;
	out->memory = sizeof(*aggregate) + series_table_memory(&aggregate->series) +
		      endpoint_table_memory(&aggregate->endpoints);
	out->time_ms = now->wall_ms;
	out->start_ms = aggregate->start_ms;
	return 0;
}

int aggregate_snapshot(struct aggregate *aggregate, struct aggregate_snapshot *out)
{
	struct aggregate_time now;
	int ret;

	*out = (struct aggregate_snapshot){0};
	lock_and_read_clock(aggregate, &now);
	ret = snapshot_locked(aggregate, &now, out);
	pthread_mutex_unlock(&aggregate->lock);
	if (ret)
		aggregate_snapshot_free(out);
	return ret;
}

void aggregate_snapshot_free(struct aggregate_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->series_len; i++) {
		histogram_free(&snapshot->series[i].first_byte_us);
		histogram_free(&snapshot->series[i].last_byte_us);
	}
	for (size_t i = 0; i < snapshot->endpoints_len; i++)
		endpoint_figures_free_copy(&snapshot->endpoints[i]);
	free(snapshot->series);
	free(snapshot->endpoints);
	*snapshot = (struct aggregate_snapshot){0};
}
