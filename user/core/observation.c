// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/observation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/handover_take.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/overload.h"
#include "core/server.h"
#include "core/status.h"
#include "export/access_log.h"
#include "export/metrics_http.h"
#include "export/metrics_source.h"
#include "export/otlp_client.h"
#include "observe/observer.h"
#include "observe/stream_scanner.h"
#include "observe/timings.h"

static void log_request(void *ctx, const struct observe_conn *conn,
			const struct observe_request *request)
{
	struct server *server = ctx;

	access_log_request(server->access_log, conn, request);
}

/* A socket on each side; those that are open already will not become fewer. */
static uint32_t most_connections(const struct config *config)
{
	const size_t most = overload_descriptors() / 2;
	const size_t wanted = config->max_connections;

	return (uint32_t)(wanted && wanted < most ? wanted : most);
}

static void fill_options(const struct server *server, struct observer_options *options)
{
	static const enum sampler_mode modes[] = {[SAMPLER_AUTO] = SAMPLER_MODE_AUTO,
						  [SAMPLER_BPF] = SAMPLER_MODE_BPF,
						  [SAMPLER_USER] = SAMPLER_MODE_USER,
						  [SAMPLER_OFF] = SAMPLER_MODE_OFF};
	static const enum ksplit_sampler points[] = {[ATTACH_AUTO] = KSPLIT_SAMPLER_NONE,
						     [ATTACH_FENTRY] = KSPLIT_SAMPLER_FENTRY,
						     [ATTACH_SK_MSG] = KSPLIT_SAMPLER_SK_MSG};
	const struct config *config = server->generation->config;

	*options = (struct observer_options){
		.mode = modes[config->sampler],
		.attach = points[config->sampling.attach],
		.kernel_tls = server_ktls_reason(server, config) == KSPLIT_NONE,
		.head_bytes = config->sampling.head_bytes,
		.ring_bytes = config->sampling.ring_bytes,
		.queue_bytes = config->sampling.queue_bytes,
		.timings = config->sampling.timings,
		.processes = config->sampling.processes,
		.max_series = config->metrics.max_series,
		.max_endpoints = config->metrics.max_endpoints,
		.workers = server->workers_len,
		.connections = most_connections(config),
		.pin_root = server->pin_root,
	};
}

static int make_scanners(struct server *server)
{
	const uint32_t head_bytes = server->generation->config->sampling.head_bytes;

	for (size_t i = 0; i < server->workers_len; i++) {
		int err = stream_scanner_new(observer_queue(server->observer, i), head_bytes,
					     &server->workers[i].scanner);

		if (err)
			return err;
	}
	return 0;
}

/* Accepted sockets take after their listener. */
static void mark_listeners(struct server *server)
{
	struct timings *timings = observer_timings(server->observer);

	if (!timings)
		return;
	for (size_t i = 0; i < server->workers_len; i++)
		for (size_t j = 0; j < server->workers[i].listeners_len; j++)
			timings_mark_listener(timings, server->workers[i].listeners[j]->fd);
}

static void tell(struct server *server)
{
	struct observer_status status;

	observer_read_status(server->observer, &status);
	log_info("plaintext heads: kernel TLS by %s, plain TCP by %s, TLS in user space by %s (%s)",
		 observer_sampler_name(status.kernel_tls), observer_sampler_name(status.plain),
		 observer_sampler_name(status.user), status.why);
	if (!status.timings)
		log_info("TCP timings: off: %s", status.timings_why);
	if (!status.processes)
		log_info("connect hook: off: %s", status.processes_why);
}

int observation_start(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;
	const struct observer_sink sink = {
		.request = server->access_log && config->access_log_requests ? log_request : NULL,
		.ctx = server};
	struct observer_options options;
	int err;

	fill_options(server, &options);
	err = observer_new(&options, &server->observer, error, error_len);
	if (!err)
		err = make_scanners(server);
	if (err)
		return err;
	mark_listeners(server);
	tell(server);
	snprintf(error, error_len, "cannot start the observer");
	return observer_start(server->observer, &sink);
}

int observation_export(struct server *server, char *error, size_t error_len)
{
	const struct config_metrics *config = &server->generation->config->metrics;
	const struct otlp_options options = {.endpoint = config->otlp_endpoint,
					     .interval_ms = config->otlp_interval,
					     .timeout_ms = config->otlp_timeout,
					     .queue = config->otlp_queue,
					     .mark = &server->own_mark};
	struct metrics_source source;
	int err = 0;

	status_metrics_source(server, &source);
	if (config->otlp_endpoint[0])
		err = otlp_open(&options, &source, &server->otlp, error, error_len);
	/* Last: the port's thread tells of the exporter. */
	if (!err && config->prometheus[0]) {
		err = metrics_http_open(config->prometheus,
					handover_take_metrics(server->takeover), &source,
					&server->metrics, error, error_len);
		if (!err)
			log_info("metrics on port %u", metrics_http_port(server->metrics));
	}
	return err;
}

void observation_stop_exports(struct server *server)
{
	metrics_http_close(server->metrics);
	otlp_close(server->otlp);
	server->metrics = NULL;
	server->otlp = NULL;
}
