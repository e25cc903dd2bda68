/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CONTROL_RIG_H
#define KSPLIT_TESTS_CONTROL_RIG_H

/* A daemon for the control socket to tell of, and a folder for the socket. After cmocka.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ksplit/control.h>

#include "conn_maker.h"
#include "export/control.h"
#include "process_count.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The daemon behind the socket. */
struct daemon {
	struct stats_sum stats;
	struct control_summary summary;
	struct conn_info *connections;
	size_t count;
	int connections_err;
	bool has_otlp;
	struct otlp_stats otlp;
};

static inline void read_stats(void *ctx, struct stats_sum *out)
{
	*out = ((struct daemon *)ctx)->stats;
}

static inline void read_summary(void *ctx, struct control_summary *out)
{
	*out = ((struct daemon *)ctx)->summary;
}

static inline int read_connections(void *ctx, struct conn_info **out, size_t *count)
{
	const struct daemon *daemon = ctx;
	size_t size = daemon->count * sizeof(**out);

	if (daemon->connections_err)
		return daemon->connections_err;
	*out = malloc(size + 1);
	if (daemon->count)
		memcpy(*out, daemon->connections, size);
	*count = daemon->count;
	return 0;
}

static inline bool read_otlp(void *ctx, struct otlp_stats *out)
{
	const struct daemon *daemon = ctx;

	*out = daemon->otlp;
	return daemon->has_otlp;
}

struct fixture {
	struct daemon daemon;
	struct control_source source;
	struct control *control;
	char folder[64], path[96];
	int fds, threads;
};

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct timespec now;

	assert_non_null(f);
	clock_gettime(CLOCK_REALTIME, &now);
	f->daemon.summary = (struct control_summary){
		.version = "1.2.3",
		.pid = 4711,
		.start_ms = (now.tv_sec - 100) * 1000,
		.workers = 3,
		.max_connections = 5000,
		.relay = "auto",
		.ktls = "require",
		.verify = "off",
		.openssl = "OpenSSL 3",
	};
	f->source = (struct control_source){.ctx = &f->daemon,
					    .read_stats = read_stats,
					    .read_summary = read_summary,
					    .read_connections = read_connections,
					    .read_otlp = read_otlp};
	strcpy(f->folder, "/tmp/ksplit-test-control.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->folder);
	f->fds = count_fds();
	f->threads = count_threads();
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	control_close(f->control);
	assert_int_equal(count_fds(), f->fds);
	assert_threads(f->threads);
	assert_int_equal(rmdir(f->folder), 0); /* the socket is gone */
	free(f->daemon.connections);
	free(f);
	return 0;
}

static inline cJSON *parse_answer(const char *text)
{
	cJSON *json;

	assert_non_null(text);
	json = cJSON_Parse(text);
	assert_non_null(json);
	check_number(json, "version", KSPLIT_CONTROL_VERSION);
	return json;
}

static inline void set_connections(struct fixture *f, size_t count, const struct conn_info *all)
{
	free(f->daemon.connections);
	f->daemon.connections = calloc(count, sizeof(*all));
	assert_non_null(f->daemon.connections);
	f->daemon.count = count;
	for (size_t i = 0; i < count; i++)
		f->daemon.connections[i] = *all;
}

#endif
