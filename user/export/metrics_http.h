/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_HTTP_H
#define KSPLIT_EXPORT_METRICS_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "export/metrics_source.h"

/*
 * The metrics port, HTTP/1.1 by libmicrohttpd, read-only (GET and HEAD):
 *   /metrics          Prometheus's text format (export/prometheus_text.h)
 *   /                 a page for people
 *   /api/v1/snapshot  what the page shows, JSON (export/metrics_json.h)
 *   /healthz          200 "ok", or 503 while the daemon drains
 * At most 16 connections; one that is idle for 10 s is closed. On a loopback address only requests
 * whose Host names this host are answered, so that no web site can read it through a browser.
 */
struct metrics_http;

/*
 * Listen and start a thread that answers. `listen` as for metrics_listen_open; `inherited` is taken
 * over in any case, and used when it is a socket of that address (metrics_listen_adopt); -1: there
 * is none. `source` is copied, what it points to must live longer; it is called on that thread.
 * Caller owns *out. 0, or -errno with a sentence in `error`.
 */
int metrics_http_open(const char *listen, int inherited, const struct metrics_source *source,
		      struct metrics_http **out, char *error, size_t error_len);

/* The listening socket; metrics_http's. -1: it is another process's now. */
int metrics_http_fd(const struct metrics_http *http);

/* Another process has that socket, too, and answers from now on: accept no more. NULL allowed. */
void metrics_http_leave(struct metrics_http *http);

/* The port listened on; the one that was found free where 0 was asked for. */
uint16_t metrics_http_port(const struct metrics_http *http);

/* End the thread and close. NULL allowed. */
void metrics_http_close(struct metrics_http *http);

#endif
