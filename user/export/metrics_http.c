// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/metrics_json.h"
#include "export/metrics_listen.h"
#include "export/metrics_moment.h"
#include "export/metrics_page.h"
#include "export/prometheus_text.h"

#define CONNECTIONS_MAX   16U
#define IDLE_SECONDS      10U
#define CONNECTION_MEMORY (16 * 1024) /* for a request's head */
#define TYPE_TEXT         "text/plain; charset=utf-8"

struct metrics_http {
	struct MHD_Daemon *daemon;
	struct metrics_source source;
	struct metrics_listen listen;
	char *policy; /* Content-Security-Policy of the page */
};

/* What is sent. */
struct answer {
	unsigned int status;
	const char *type;
	char *body; /* NULL: out of memory */
	size_t len;
	enum MHD_ResponseMemoryMode memory;
	const char *policy, *allow; /* NULL: no such field, or the strictest */
};

static void answer_text(struct answer *answer, unsigned int status, const char *text)
{
	answer->status = status;
	answer->type = TYPE_TEXT;
	answer->body = (char *)text;
	answer->len = strlen(text);
	answer->memory = MHD_RESPMEM_MUST_COPY;
}

static void answer_page(const struct metrics_http *http, struct answer *answer)
{
	answer->type = "text/html; charset=utf-8";
	answer->body = (char *)metrics_page;
	answer->len = (size_t)metrics_page_len;
	answer->memory = MHD_RESPMEM_PERSISTENT;
	answer->policy = http->policy;
}

static void answer_metrics(const struct metrics_http *http, struct answer *answer)
{
	struct metrics_moment moment;

	answer->type = PROMETHEUS_CONTENT_TYPE;
	answer->body = NULL;
	answer->memory = MHD_RESPMEM_MUST_FREE;
	if (metrics_moment_read(&http->source, &moment) != 0)
		return;
	answer->body = prometheus_text(&moment, &answer->len);
	metrics_moment_free(&moment);
}

static void answer_snapshot(const struct metrics_http *http, struct answer *answer)
{
	struct metrics_moment moment;

	answer->type = "application/json";
	answer->body = NULL;
	answer->memory = MHD_RESPMEM_MUST_FREE;
	if (metrics_moment_read(&http->source, &moment) != 0)
		return;
	answer->body = metrics_json(&moment);
	answer->len = answer->body ? strlen(answer->body) : 0;
	metrics_moment_free(&moment);
}

static void answer_health(const struct metrics_http *http, struct answer *answer)
{
	struct control_summary summary = {0};
	char text[512];

	http->source.read_summary(http->source.ctx, &summary);
	snprintf(text, sizeof(text), "%s%s\n",
		 summary.draining   ? "draining"
		 : summary.degraded ? "degraded: "
				    : "ok",
		 !summary.draining && summary.degraded ? summary.degraded : "");
	answer_text(answer, summary.draining ? 503 : 200, "");
	answer->body = strdup(text);
	answer->len = strlen(text);
	answer->memory = MHD_RESPMEM_MUST_FREE;
}

static const struct route {
	const char *path;
	void (*answer)(const struct metrics_http *http, struct answer *answer);
} routes[] = {
	{"/metrics", answer_metrics},
	{"/", answer_page},
	{"/api/v1/snapshot", answer_snapshot},
	{"/healthz", answer_health},
};

static void answer_make(const struct metrics_http *http, struct MHD_Connection *connection,
			const char *url, const char *method, struct answer *answer)
{
	const char *host =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	if (http->listen.loopback && !metrics_listen_host_is_local(host)) {
		answer_text(answer, 403,
			    "This port answers to localhost, 127.x.x.x and [::1] only; the "
			    "request's Host names something else.\n");
		return;
	}
	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		answer_text(answer, 405, "Only GET and HEAD.\n");
		answer->allow = "GET, HEAD";
		return;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!strcmp(routes[i].path, url)) {
			routes[i].answer(http, answer);
			return;
		}
	}
	answer_text(answer, 404, "Not here. There are: / /metrics /api/v1/snapshot /healthz\n");
}

/* No CORS field, ever: other origins' scripts read nothing here. */
static bool add_fields(struct MHD_Response *response, const struct answer *answer)
{
	const char *const fields[][2] = {
		{"Content-Type", answer->type},
		{"Content-Security-Policy",
		 answer->policy ? answer->policy : "default-src 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Referrer-Policy", "no-referrer"},
		{"Cache-Control", "no-store"},
		{"Allow", answer->allow},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i][1] &&
		    MHD_add_response_header(response, fields[i][0], fields[i][1]) != MHD_YES)
			return false;
	}
	return true;
}

/* Answered when the head is there; a body that a client sends with it is not read. */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **request)
{
	struct answer answer = {.status = 200};
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	(void)version;
	(void)upload;
	(void)upload_len;
	(void)request;
	answer_make(ctx, connection, url, method, &answer);
	if (!answer.body)
		answer_text(&answer, 503, "Out of memory.\n");
	response = MHD_create_response_from_buffer(answer.len, answer.body, answer.memory);
	if (!response) {
		if (answer.memory == MHD_RESPMEM_MUST_FREE)
			free(answer.body);
		return MHD_NO;
	}
	if (add_fields(response, &answer))
		result = MHD_queue_response(connection, answer.status, response);
	MHD_destroy_response(response);
	return result;
}

/* Signals stay with the daemon's other threads. */
static struct MHD_Daemon *start(struct metrics_http *http)
{
	struct MHD_Daemon *daemon;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ITC, 0, NULL, NULL, handle,
		http, MHD_OPTION_LISTEN_SOCKET, http->listen.fd, MHD_OPTION_CONNECTION_LIMIT,
		CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return daemon;
}

static int open_socket(const char *listen, int inherited, struct metrics_listen *out, char *error,
		       size_t error_len)
{
	if (inherited >= 0 && metrics_listen_adopt(listen, inherited, out))
		return 0;
	if (inherited >= 0)
		close(inherited);
	return metrics_listen_open(listen, out, error, error_len);
}

int metrics_http_open(const char *listen, int inherited, const struct metrics_source *source,
		      struct metrics_http **out, char *error, size_t error_len)
{
	struct metrics_http *http = calloc(1, sizeof(*http));
	int err;

	snprintf(error, error_len, "out of memory");
	if (!http) {
		if (inherited >= 0)
			close(inherited);
		return -ENOMEM;
	}
	http->source = *source;
	http->policy = metrics_page_policy();
	err = open_socket(listen, inherited, &http->listen, error, error_len);
	if (!err && !http->policy) {
		close(http->listen.fd);
		err = -ENOMEM;
	}
	if (err) {
		free(http->policy);
		free(http);
		return err;
	}
	/* The socket is libmicrohttpd's from here on. */
	http->daemon = start(http);
	if (!http->daemon) {
		snprintf(error, error_len, "the HTTP server could not be started");
		free(http->policy);
		free(http);
		return -EAGAIN;
	}
	*out = http;
	return 0;
}

uint16_t metrics_http_port(const struct metrics_http *http)
{
	return http->listen.port;
}

int metrics_http_fd(const struct metrics_http *http)
{
	return http->listen.fd;
}

void metrics_http_leave(struct metrics_http *http)
{
	int fd = http && http->listen.fd >= 0 ? MHD_quiesce_daemon(http->daemon) : -1;

	if (fd < 0)
		return;
	close(fd);
	http->listen.fd = -1;
}

void metrics_http_close(struct metrics_http *http)
{
	if (!http)
		return;
	MHD_stop_daemon(http->daemon);
	free(http->policy);
	free(http);
}
