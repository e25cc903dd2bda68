// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An OTLP exporter with figures that a test chooses, to see what becomes of every one of them.
 *
 *   otlp_feed URL INTERVAL_MS TIMEOUT_MS QUEUE MAX_SERIES
 *
 * Reads commands, a line each, and answers each with a line:
 *   add SERVICE COUNT MICROSECONDS  COUNT more requests of serviceN.example (outgoing if N is even)
 *                                   took so long; answer "added"
 *   stats                           answer: otlp_read_stats as JSON
 *   close                           otlp_close; answer: the figures just before, as JSON
 * Ends by itself after "close" or at the end of its input.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "export/json_add.h"
#include "export/otlp_client.h"

#define SERIES_MAX 5000

/* -- the exporter's source ----------------------------------------------------------------------
 */

static int read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	return aggregate_snapshot(ctx, out);
}

static void read_stats(void *ctx, struct stats_sum *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

static void read_summary(void *ctx, struct control_summary *out)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &now);
	memset(out, 0, sizeof(*out));
	out->version = "feed";
	out->pid = getpid();
	out->start_ms = (int64_t)now.tv_sec * 1000 - 1000;
}

static void read_observer(void *ctx, struct observer_status *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

/* -- figures ------------------------------------------------------------------------------------
 */

static void fill(struct observe_conn *conn, struct observe_request *request, uint64_t number,
		 uint64_t us)
{
	memset(conn, 0, sizeof(*conn));
	conn->direction = number % 2 ? OBSERVE_INCOMING : OBSERVE_OUTGOING;
	snprintf(conn->server_name, sizeof(conn->server_name), "service%" PRIu64 ".example",
		 number);
	conn->endpoint.in.sin_family = AF_INET;
	conn->endpoint.in.sin_port = htons(443);
	conn->endpoint.in.sin_addr.s_addr = htonl(0xc0000201);
	conn->tls_version = 0x0304;
	conn->tls_suite = 0x1301;
	strcpy(conn->process.command, "feed");
	memset(request, 0, sizeof(*request));
	request->version = OBSERVE_HTTP_2;
	strcpy(request->method, "GET");
	snprintf(request->path, sizeof(request->path), "/things/%" PRIu64, number);
	request->status = 200;
	request->grpc_status = -1;
	request->request_bytes = 100;
	request->response_bytes = 1000;
	request->response_body = 900;
	request->has_first_byte = request->complete = true;
	request->first_byte_us = us / 2;
	request->last_byte_us = us;
}

static void add(struct aggregate *aggregate, uint64_t number, uint64_t count, uint64_t us)
{
	static struct observe_request request;
	struct observe_conn conn;

	fill(&conn, &request, number, us);
	while (count-- > 0)
		aggregate_add_request(aggregate, &conn, &request);
}

/* -- commands -----------------------------------------------------------------------------------
 */

static void print_stats(struct otlp *otlp)
{
	cJSON *object = cJSON_CreateObject();
	struct otlp_stats stats;
	char *text = NULL;

	otlp_read_stats(otlp, &stats);
	if (json_add_u64(object, "exported", stats.exported) &&
	    json_add_u64(object, "failed", stats.failed) &&
	    json_add_u64(object, "retried", stats.retried) &&
	    json_add_u64(object, "dropped", stats.dropped) &&
	    json_add_u64(object, "unmade", stats.unmade) &&
	    json_add_u64(object, "rejected_points", stats.rejected_points) &&
	    json_add_u64(object, "queued", stats.queued) &&
	    json_add_text(object, "last_error", stats.last_error))
		text = cJSON_PrintUnformatted(object);
	puts(text ? text : "no memory");
	cJSON_free(text);
	cJSON_Delete(object);
}

static void serve(struct aggregate *aggregate, struct otlp *otlp)
{
	uint64_t number, count, us;
	char line[128];

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "add %" SCNu64 " %" SCNu64 " %" SCNu64, &number, &count, &us) ==
		    3) {
			add(aggregate, number, count, us);
			puts("added");
		} else if (strcmp(line, "stats\n") == 0 || strcmp(line, "close\n") == 0) {
			print_stats(otlp);
		} else {
			puts("what?");
		}
		fflush(stdout);
		if (line[0] == 'c')
			return;
	}
}

int main(int argc, char **argv)
{
	struct otlp_options options;
	struct metrics_source source = {.read_stats = read_stats,
					.read_summary = read_summary,
					.read_aggregate = read_aggregate,
					.read_observer = read_observer};
	struct aggregate_limits limits;
	struct aggregate *aggregate;
	struct otlp *otlp;
	char error[256] = "no memory";
	long series = argc == 6 ? strtol(argv[5], NULL, 10) : 0;

	if (series < 1 || series > SERIES_MAX) {
		fputs("usage: otlp_feed URL INTERVAL_MS TIMEOUT_MS QUEUE MAX_SERIES\n", stderr);
		return 2;
	}
	log_setup(LOG_LEVEL_INFO, false);
	options = (struct otlp_options){argv[1], (uint32_t)strtoul(argv[2], NULL, 10),
					(uint32_t)strtoul(argv[3], NULL, 10),
					(uint32_t)strtoul(argv[4], NULL, 10), 0};
	limits = (struct aggregate_limits){(uint32_t)series, 1};
	if (aggregate_new(&limits, &aggregate) != 0) {
		fputs("otlp_feed: no memory\n", stderr);
		return 1;
	}
	source.ctx = aggregate;
	if (otlp_open(&options, &source, &otlp, error, sizeof(error)) == 0) {
		serve(aggregate, otlp);
		otlp_close(otlp);
		aggregate_free(aggregate);
		return 0;
	}
	fprintf(stderr, "otlp_feed: %s\n", error);
	aggregate_free(aggregate);
	return 1;
}
