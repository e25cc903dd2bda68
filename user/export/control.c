// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/control.h"

#include <errno.h>
#include <ksplit/control.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "export/control_socket.h"

#define CLIENTS_MAX     8
#define DEADLINE_MS     5000
#define ANSWER_MS       60000 /* for a client that takes a large answer slowly, but does */
#define ACCEPT_PAUSE_MS 100   /* after an accept(2) that failed: descriptors may come back */

struct client {
	int fd; /* -1: a free place */
	bool eof;
	bool refused; /* its line is too long: what else it sends is thrown away */
	int64_t deadline_ms;
	int64_t answer_end_ms; /* of ANSWER_MS; the deadline never goes beyond it */
	char *out;             /* the answer being sent; owned; NULL: none */
	size_t out_len, out_done;
	size_t in_len;
	char in[KSPLIT_CONTROL_LINE + 1]; /* a whole line and its newline */
};

struct control {
	struct control_source source;
	struct control_socket socket;
	int wake_fd; /* readable: end */
	pthread_t thread;
	int64_t accept_after_ms;
	struct client clients[CLIENTS_MAX];
};

enum { POLL_WAKE, POLL_LISTEN, POLL_CLIENTS, POLL_LEN = POLL_CLIENTS + CLIENTS_MAX };

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void client_close(struct client *client)
{
	close(client->fd);
	free(client->out);
	client->out = NULL;
	client->fd = -1;
}

static void client_start(struct client *client, int fd, int64_t now)
{
	client->fd = fd;
	client->eof = client->refused = false;
	client->in_len = client->out_len = client->out_done = 0;
	client->deadline_ms = now + DEADLINE_MS;
}

/* Length of the next request without its newline, -1: not complete. At EOF the newline may be
 * missing. */
static ssize_t next_line(const struct client *client)
{
	const char *newline = memchr(client->in, '\n', client->in_len);

	if (newline)
		return newline - client->in;
	return client->eof && client->in_len && !client->refused ? (ssize_t)client->in_len : -1;
}

static void drop_line(struct client *client, size_t len)
{
	if (len < client->in_len)
		len++; /* the newline */
	client->in_len -= len;
	memmove(client->in, client->in + len, client->in_len);
}

/* Take over an answer (NULL: no memory) and put the newline behind it. false: close. */
static bool client_take_answer(struct client *client, char *answer, int64_t now)
{
	size_t len = answer ? strlen(answer) : 0;
	char *line = answer ? realloc(answer, len + 2) : NULL;

	if (!line) {
		free(answer);
		return false;
	}
	line[len] = '\n';
	client->out = line;
	client->out_len = len + 1;
	client->out_done = 0;
	client->deadline_ms = now + DEADLINE_MS;
	client->answer_end_ms = now + ANSWER_MS;
	return true;
}

/* Only what is needed: one request is answered before the next is read. false: close. */
static bool client_read(struct client *client)
{
	char *at = client->refused ? client->in : client->in + client->in_len;
	size_t room = client->refused ? sizeof(client->in) : sizeof(client->in) - client->in_len;
	ssize_t n = recv(client->fd, at, room, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		client->eof = true;
	else if (!client->refused)
		client->in_len += (size_t)n;
	return true;
}

/* Answers differ by who asks only where somebody is to be named for it (unix(7), SO_PEERCRED). */
static char *answer_to(const struct control *control, const struct client *client, size_t len)
{
	struct control_source source = control->source;
	struct ucred peer;
	socklen_t peer_len = sizeof(peer);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0)
		snprintf(source.client, sizeof(source.client), "command of user %u, process %d",
			 (unsigned int)peer.uid, (int)peer.pid);
	return control_answer(&source, client->in, len);
}

/* Answer the next request if there is one. false: close. */
static bool client_answer(const struct control *control, struct client *client, int64_t now)
{
	static const char too_long[] = "{\"version\":1,\"ok\":false,\"error\":"
				       "\"the request is longer than 4096 bytes\"}";
	ssize_t len = next_line(client);
	char *answer;

	_Static_assert(KSPLIT_CONTROL_VERSION == 1 && KSPLIT_CONTROL_LINE == 4096, "text above");
	if (client->refused)
		return !client->eof;
	if (len >= 0 && len <= KSPLIT_CONTROL_LINE) {
		answer = answer_to(control, client, (size_t)len);
		drop_line(client, (size_t)len);
		/* the daemon may have been slow: its time is not the client's */
		return client_take_answer(client, answer, monotonic_ms());
	}
	if (client->in_len == sizeof(client->in)) {
		client->refused = true;
		client->in_len = 0;
		return client_take_answer(client, strdup(too_long), now);
	}
	return !client->eof;
}

/* Send what the socket takes. false: close. */
static bool client_flush(struct client *client, int64_t now)
{
	ssize_t n = send(client->fd, client->out + client->out_done,
			 client->out_len - client->out_done, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->out_done += (size_t)n;
	if (client->out_done < client->out_len) {
		client->deadline_ms = now + DEADLINE_MS;
		if (client->deadline_ms > client->answer_end_ms)
			client->deadline_ms = client->answer_end_ms;
		return true;
	}
	free(client->out);
	client->out = NULL;
	client->deadline_ms = now + DEADLINE_MS;
	/* closing with unread bytes in the socket would reset it, and the answer might be lost */
	if (client->refused)
		shutdown(client->fd, SHUT_WR);
	return true;
}

/* One turn: read, answer, send; each at most once, so that clients take turns. */
static void client_serve(const struct control *control, struct client *client, short revents,
			 int64_t now)
{
	bool readable = revents & (POLLIN | POLLHUP | POLLERR);
	bool ok = now < client->deadline_ms;

	if (ok && readable && !client->eof && (!client->out || client->refused))
		ok = client_read(client);
	if (ok && !client->out)
		ok = client_answer(control, client, now);
	if (ok && client->out)
		ok = client_flush(client, now);
	if (!ok)
		client_close(client);
}

static struct client *free_place(struct control *control)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	}
	return NULL;
}

static void accept_client(struct control *control, int64_t now)
{
	int fd = accept4(control->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		client_start(free_place(control), fd, now);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		control->accept_after_ms = now + ACCEPT_PAUSE_MS;
}

/* Time until the client needs a turn without an event, in ms. */
static int64_t client_patience(const struct client *client, int64_t now)
{
	if (!client->out && next_line(client) >= 0)
		return 0;
	return client->deadline_ms > now ? client->deadline_ms - now : 0;
}

static short client_events(const struct client *client)
{
	short events = client->out ? POLLOUT : 0;

	if (!client->eof && (!client->out || client->refused))
		events |= POLLIN;
	return events;
}

/* Fill in what to wait for; returns how long at most, -1: for ever. */
static int prepare_poll(struct control *control, struct pollfd *fds, int64_t now)
{
	int64_t timeout = INT64_MAX;
	bool paused = now < control->accept_after_ms;

	fds[POLL_WAKE] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	fds[POLL_LISTEN] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (paused)
		timeout = control->accept_after_ms - now;
	else if (free_place(control))
		fds[POLL_LISTEN].fd = control->socket.fd;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client *client = &control->clients[i];
		int64_t patience;

		fds[POLL_CLIENTS + i] = (struct pollfd){.fd = client->fd};
		if (client->fd < 0)
			continue;
		fds[POLL_CLIENTS + i].events = client_events(client);
		patience = client_patience(client, now);
		timeout = patience < timeout ? patience : timeout;
	}
	return timeout == INT64_MAX ? -1 : (int)timeout;
}

static void *control_main(void *arg)
{
	struct control *control = arg;
	struct pollfd fds[POLL_LEN];

	for (;;) {
		int timeout = prepare_poll(control, fds, monotonic_ms());
		int n = poll(fds, POLL_LEN, timeout);
		int64_t now = monotonic_ms();

		if (n < 0)
			continue; /* EINTR: signals are blocked here; ENOMEM: try again */
		if (fds[POLL_WAKE].revents)
			break;
		for (int i = 0; i < CLIENTS_MAX; i++) {
			if (control->clients[i].fd >= 0)
				client_serve(control, &control->clients[i],
					     fds[POLL_CLIENTS + i].revents, now);
		}
		if (fds[POLL_LISTEN].revents)
			accept_client(control, now);
	}
	return NULL;
}

/* Signals stay with the daemon's other threads. */
static int start_thread(struct control *control)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&control->thread, NULL, control_main, control);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(control->thread, "control");
	return -err;
}

static int set_up(struct control *control)
{
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return control->wake_fd < 0 ? -errno : start_thread(control);
}

static void control_free(struct control *control)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i].fd >= 0)
			client_close(&control->clients[i]);
	}
	if (control->wake_fd >= 0)
		close(control->wake_fd);
	control_socket_close(&control->socket);
	free(control);
}

static int open_by(int (*open)(const char *path, struct control_socket *socket), const char *path,
		   const struct control_source *source, struct control **out)
{
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (!control)
		return -ENOMEM;
	control->source = *source;
	control->wake_fd = -1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	err = open(path, &control->socket);
	if (err) {
		free(control);
		return err;
	}
	err = set_up(control);
	if (err) {
		control_free(control);
		return err;
	}
	*out = control;
	return 0;
}

int control_open(const char *path, const struct control_source *source, struct control **out)
{
	return open_by(control_socket_open, path, source, out);
}

int control_take_over(const char *path, const struct control_source *source, struct control **out)
{
	return open_by(control_socket_take_over, path, source, out);
}

void control_close(struct control *control)
{
	static const uint64_t one = 1;

	if (!control)
		return;
	/* an eventfd that counts 1 at most always takes it */
	if (write(control->wake_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(control->thread, NULL);
	control_free(control);
}
