// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/worker_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/listen_fds.h"
#include "core/listener.h"
#include "core/server.h"
#include "core/worker.h"

/* All sockets that somebody has left for a listener are accepted on, by whichever worker. */
static size_t share(const struct worker *worker, size_t count)
{
	const size_t workers = worker->server->workers_len;

	return worker->index >= count ? 1 : (count - worker->index + workers - 1) / workers;
}

static int adopt(struct worker *worker, const struct config_listener *config, size_t n,
		 struct listener **out, char *error, size_t error_len)
{
	struct listen_fds *inherited = worker->server->inherited;
	const size_t count = listen_fds_count(inherited, config);
	int fd = listen_fds_get(inherited, config, n % count);

	if (fd < 0) {
		snprintf(error, error_len, "cannot take over a listener: %s", strerror(-fd));
		return fd;
	}
	return listener_adopt(worker, worker->generation, config, fd,
			      count < worker->server->workers_len, out, error, error_len);
}

/*
 * A ksplitd that takes over listens where the other one did not when it is ready: connections that
 * came before would wait for it, and be reset if nothing came of it.
 */
static int open_new(struct worker *worker, const struct config_listener *config,
		    struct listener **out, char *error, size_t error_len)
{
	const struct server *server = worker->server;
	int err = listener_new(worker, worker->generation, config, out, error, error_len);

	if (err == -EADDRINUSE && server->takeover &&
	    listen_fds_overlap(server->inherited, config)) {
		const size_t used = strcspn(error, ";");

		snprintf(error + used, error_len - used,
			 "; the ksplitd that runs has this port, on an address that includes this "
			 "one or lies in it, by a socket of another user: restart it instead");
	}
	return err || server->takeover ? err : listener_listen(*out, error, error_len);
}

/* The first sockets of all listeners come first, in their order; then what is left over. */
static size_t count_listeners(const struct worker *worker)
{
	const struct generation *generation = worker->generation;
	size_t sum = 0;

	for (size_t i = 0; i < generation->listeners_len; i++) {
		size_t count = listen_fds_count(worker->server->inherited,
						&generation->listeners[i]);

		sum += count ? share(worker, count) : 1;
	}
	return sum;
}

static int adopt_rest(struct worker *worker, char *error, size_t error_len)
{
	const struct generation *generation = worker->generation;
	int err = 0;

	for (size_t i = 0; i < generation->listeners_len; i++) {
		const struct config_listener *config = &generation->listeners[i];
		size_t count = listen_fds_count(worker->server->inherited, config);

		for (size_t n = 1; count && n < share(worker, count) && !err; n++) {
			err = adopt(worker, config,
				    worker->index + n * worker->server->workers_len,
				    &worker->listeners[worker->listeners_len], error, error_len);
			worker->listeners_len += !err;
		}
	}
	return err;
}

int worker_listen(struct worker *worker, char *error, size_t error_len)
{
	struct generation *generation = worker->generation;

	worker->listeners = calloc(count_listeners(worker), sizeof(*worker->listeners));
	if (!worker->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < generation->listeners_len; i++) {
		const struct config_listener *config = &generation->listeners[i];
		int err = listen_fds_count(worker->server->inherited, config)
				  ? adopt(worker, config, worker->index, &worker->listeners[i], error,
					  error_len)
				  : open_new(worker, config, &worker->listeners[i], error,
					     error_len);

		if (err)
			return err;
		worker->listeners_len++;
	}
	return adopt_rest(worker, error, error_len);
}

int worker_listen_late(struct worker *worker, char *error, size_t error_len)
{
	int err = 0;

	for (size_t i = 0; i < worker->listeners_len && !err; i++)
		err = listener_listen(worker->listeners[i], error, error_len);
	return err;
}
