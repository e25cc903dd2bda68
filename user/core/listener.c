// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/conn.h"
#include "core/log.h"

/* A turn's share, so that a storm of new connections does not starve those that are there. */
#define ACCEPTS_PER_TURN 64

static socklen_t address_len(const struct config_listener *config)
{
	return config->address.sa.sa_family == AF_INET6 ? sizeof(config->address.in6)
							 : sizeof(config->address.in);
}

static void address_print(const struct config_listener *config, char *buf, size_t len)
{
	union conn_address address = {0};

	memcpy(&address, &config->address, address_len(config));
	conn_address_print(&address, buf, len);
}

static int set_option(int fd, int level, int name)
{
	const int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on)) ? -errno : 0;
}

/* IP_TRANSPARENT is what lets a socket accept for addresses that are not ours. */
static int set_transparent(int fd, const struct config_listener *config)
{
	if (config->destination != DESTINATION_TPROXY)
		return 0;
	return config->address.sa.sa_family == AF_INET6
		       ? set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)
		       : set_option(fd, IPPROTO_IP, IP_TRANSPARENT);
}

static int bind_address(int fd, const struct config_listener *config)
{
	int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

	if (!err && config->address.sa.sa_family == AF_INET6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (!err)
		err = set_transparent(fd, config);
	if (!err && bind(fd, &config->address.sa, address_len(config)))
		err = -errno;
	return err;
}

static int listener_bind(struct listener *listener)
{
	int err = set_option(listener->fd, SOL_SOCKET, SO_REUSEPORT);

	return err ? err : bind_address(listener->fd, listener->config);
}

static int open_socket(const struct config_listener *config)
{
	int fd = socket(config->address.sa.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static void say_why(const struct config_listener *config, int err, char *error, size_t error_len)
{
	char name[64];

	address_print(config, name, sizeof(name));
	snprintf(error, error_len, "cannot listen on %s: %s%s", name, strerror(-err),
		 err == -EADDRINUSE ? "; another program has this port (ss -ltnp tells which)"
		 : err == -EACCES || err == -EPERM
			 ? "; root or CAP_NET_BIND_SERVICE (tproxy: CAP_NET_ADMIN) is needed"
			 : "");
}

int listener_check_free(const struct config_listener *config, char *error, size_t error_len)
{
	int fd = open_socket(config);
	int err = fd < 0 ? fd : bind_address(fd, config);

	if (fd >= 0)
		close(fd);
	if (err)
		say_why(config, err, error, error_len);
	return err;
}

/* A turn's share; false: there are no more. */
static bool accept_some(struct listener *listener)
{
	struct worker *worker = listener->worker;

	for (int i = 0; i < ACCEPTS_PER_TURN && !worker->accept_paused && !worker->accept_held; i++) {
		union conn_address peer = {0};
		socklen_t len = sizeof(peer);
		int fd;

		if (worker->conns_len >= worker->conns_max) {
			worker_pause_accept(worker, "connection limit reached");
			return false;
		}
		fd = accept4(listener->fd, &peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_accept(worker, listener->generation, listener->config, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			worker_pause_accept(worker, strerror(errno));
		if (errno != EINTR && errno != ECONNABORTED)
			return false;
	}
	return !worker->accept_paused && !worker->accept_held;
}

static void accept_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	accept_some((struct listener *)watch);
}

void listener_accept_rest(struct listener *listener)
{
	/* Bounded: new ones may come as fast as they are taken. */
	for (int i = 0; i <= SOMAXCONN / ACCEPTS_PER_TURN && accept_some(listener); i++)
		;
}

int listener_new(struct worker *worker, struct generation *generation,
		 const struct config_listener *config, struct listener **out, char *error,
		 size_t error_len)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (!listener)
		return -ENOMEM;
	*listener = (struct listener){.watch.ready = accept_ready,
				      .worker = worker,
				      .generation = generation_get(generation),
				      .config = config,
				      .fd = open_socket(config)};
	err = listener->fd < 0 ? listener->fd : listener_bind(listener);
	if (err) {
		say_why(config, err, error, error_len);
		listener_free(listener);
	} else {
		*out = listener;
	}
	return err;
}

int listener_listen(struct listener *listener, char *error, size_t error_len)
{
	int err = !listener->listens && listen(listener->fd, SOMAXCONN) ? -errno : 0;

	if (err)
		say_why(listener->config, err, error, error_len);
	listener->listens = !err;
	return err;
}

int listener_adopt(struct worker *worker, struct generation *generation,
		   const struct config_listener *config, int fd, bool shared,
		   struct listener **out, char *error, size_t error_len)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (!listener) {
		close(fd);
		return -ENOMEM;
	}
	*listener = (struct listener){.watch.ready = accept_ready,
				      .worker = worker,
				      .generation = generation_get(generation),
				      .config = config,
				      .fd = fd,
				      .shared = shared,
				      .listens = true};
	err = set_transparent(fd, config);
	if (err) {
		say_why(config, err, error, error_len);
		listener_free(listener);
	} else {
		*out = listener;
	}
	return err;
}

void listener_learn_port(const struct listener *listener, struct config_listener *config)
{
	socklen_t len = sizeof(config->address);

	getsockname(listener->fd, &config->address.sa, &len);
}

int listener_prepare(struct listener *listener, const struct config_listener *config, char *error,
		     size_t error_len)
{
	int err = set_transparent(listener->fd, config);

	if (err)
		say_why(config, err, error, error_len);
	return err;
}

void listener_follow(struct listener *listener, struct generation *generation,
		     const struct config_listener *config)
{
	struct generation *old = listener->generation;

	listener->generation = generation_get(generation);
	listener->config = config;
	generation_put(old);
}

void listener_close(struct listener *listener)
{
	/*
	 * Another process may have the socket, too: then closing does not take it out of the set.
	 */
	listener_accept_off(listener);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	generation_put(listener->generation);
	listener->generation = NULL;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	listener_close(listener);
	free(listener);
}

int listener_accept_on(struct listener *listener)
{
	/* One that comes wakes one worker, not all (epoll_ctl(2)). */
	struct epoll_event event = {.events = EPOLLIN | (listener->shared ? EPOLLEXCLUSIVE : 0U),
				    .data.ptr = &listener->watch};

	if (listener->fd < 0)
		return 0;
	return epoll_ctl(listener->worker->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) ? -errno
											  : 0;
}

void listener_accept_off(struct listener *listener)
{
	if (listener->fd >= 0)
		epoll_ctl(listener->worker->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
}
