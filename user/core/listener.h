/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LISTENER_H
#define KSPLIT_CORE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"
#include "core/generation.h"
#include "core/worker.h"

/*
 * One worker's listening socket for one configured address (SO_REUSEPORT: the kernel spreads
 * connections).
 */
struct listener {
	struct watch watch;
	LIST_ENTRY(listener) link; /* of those that are gone */
	struct worker *worker; /* not owned */
	struct generation *generation; /* what it accepts under; a reference */
	const struct config_listener *config; /* the generation's */
	int fd;
	bool shared; /* with other workers */
	bool listens;
};

/*
 * Is the address free? SO_REUSEPORT alone would let a second ksplitd of the same user listen beside
 * the first and take half of its connections. 0 or -errno (-EADDRINUSE ...) with one line in
 * `error`.
 */
int listener_check_free(const struct config_listener *config, char *error, size_t error_len);

/*
 * Bind to an address of a generation's listeners; takes a reference. Nobody can connect before
 * listener_listen. Caller owns *out. 0 or -errno with one line in `error`.
 */
int listener_new(struct worker *worker, struct generation *generation,
		 const struct config_listener *config, struct listener **out, char *error,
		 size_t error_len);

/* Listen, if it does not yet. 0 or -errno with one line in `error`. */
int listener_listen(struct listener *listener, char *error, size_t error_len);

/*
 * The same with a socket that is bound and listens already (core/listen_fds.h); `fd` is the
 * listener's in any case. shared: other workers accept on it as well.
 */
int listener_adopt(struct worker *worker, struct generation *generation,
		   const struct config_listener *config, int fd, bool shared,
		   struct listener **out, char *error, size_t error_len);

/* The port that the kernel chose where 0 was asked for, into an address of the same family. */
void listener_learn_port(const struct listener *listener, struct config_listener *config);

/*
 * Let the socket do what another listener with the same address asks of it; what it does now it
 * still does. Any thread. 0 or -errno with one line in `error`.
 */
int listener_prepare(struct listener *listener, const struct config_listener *config, char *error,
		     size_t error_len);

/* Accept under another generation from now on, by this listener of its. After listener_prepare. */
void listener_follow(struct listener *listener, struct generation *generation,
		     const struct config_listener *config);

/* Take all connections that the kernel has accepted already. */
void listener_accept_rest(struct listener *listener);

/* Accept no more and close the socket. Safe when that was done. */
void listener_close(struct listener *listener);

/* The same, and free. NULL allowed. */
void listener_free(struct listener *listener);

/* Take the socket into the worker's epoll set or out of it. 0 or -errno. */
int listener_accept_on(struct listener *listener);
void listener_accept_off(struct listener *listener);

#endif
