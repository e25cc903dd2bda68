// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

#include "api.h"
#include "load.h"

#define EVENTS 256

struct exchange {
	struct conn conn;
	char head[HEAD_MAX + 1];
	size_t head_bytes;
	uint64_t body_left;
	char answer[HEAD_MAX + 1];
	size_t answer_bytes;
	uint64_t total;
	uint64_t left; /* of the answer; 0: a request is being read */
	bool counted;
};

struct origin {
	int epoll;
	int listener;
	SSL_CTX *context;
	unsigned long full;
	unsigned long resumed;
	unsigned long requests;
	unsigned long open;
	char cipher[64];
	char group[64];
};

static int listener_open(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, 4096))
		die("cannot listen: %s", strerror(errno));
	return fd;
}

static void exchange_free(struct origin *origin, struct exchange *exchange)
{
	conn_free(&exchange->conn);
	free(exchange);
	origin->open--;
}

static void handshake_count(struct origin *origin, struct exchange *exchange)
{
	SSL *ssl = exchange->conn.ssl;
	const char *group;

	if (exchange->counted || !conn_established(&exchange->conn))
		return;
	exchange->counted = true;
	if (!ssl) {
		origin->full++;
		return;
	}
	if (SSL_session_reused(ssl))
		origin->resumed++;
	else
		origin->full++;
	group = OBJ_nid2sn((int)SSL_get_negotiated_group(ssl));
	snprintf(origin->cipher, sizeof(origin->cipher), "%s", SSL_get_cipher_name(ssl));
	snprintf(origin->group, sizeof(origin->group), "%s", group ? group : "?");
}

static void answer_init(struct exchange *exchange, const char *path)
{
	unsigned long long bytes = path ? strtoull(path + 1, NULL, 10) : 0;
	int head;

	if (path && !strncmp(path, API_PATH, strlen(API_PATH))) {
		bytes = API_RESPONSE_BODY;
		head = snprintf(exchange->answer, sizeof(exchange->answer), "%s", API_RESPONSE);
	} else {
		head = snprintf(exchange->answer, sizeof(exchange->answer), RESPONSE_HEAD, bytes);
	}
	exchange->answer_bytes = (size_t)head;
	exchange->total = (size_t)head + bytes;
}

/* The request is complete up to its body: what is asked for, and how much body follows. */
static void request_parse(struct exchange *exchange, const char *end)
{
	const char *length = strcasestr(exchange->head, "\r\nContent-Length:");
	size_t rest = exchange->head_bytes - (size_t)(end - exchange->head);

	exchange->body_left = length && length < end ? strtoull(length + 17, NULL, 10) : 0;
	if (rest > exchange->body_left)
		die("a request was sent before the last one was answered");
	exchange->body_left -= rest;
	exchange->head_bytes = 0;
	answer_init(exchange, strchr(exchange->head, '/'));
}

/* Returns what conn_read() returned when it cannot go on, 1 when a request is complete. */
static int request_read(struct exchange *exchange)
{
	for (;;) {
		bool body = exchange->total != 0;
		char *into = body ? scratch_buffer() : exchange->head + exchange->head_bytes;
		size_t room = body ? RECORD_BYTES : HEAD_MAX - exchange->head_bytes;
		const char *end;
		int ret;

		if (body && !exchange->body_left) {
			exchange->left = exchange->total;
			return 1;
		}
		if (!room)
			die("a request head of more than %d bytes", HEAD_MAX);
		ret = conn_read(&exchange->conn, into, room);
		if (ret <= 0)
			return ret;
		if (body) {
			exchange->body_left -= (uint64_t)ret;
			continue;
		}
		exchange->head_bytes += (size_t)ret;
		exchange->head[exchange->head_bytes] = '\0';
		end = strstr(exchange->head, "\r\n\r\n");
		if (end)
			request_parse(exchange, end + 4);
	}
}

static void exchange_run(struct origin *origin, struct exchange *exchange)
{
	int ret;

	ERR_clear_error();
	do {
		if (exchange->left) {
			ret = conn_write(&exchange->conn, exchange->answer, exchange->answer_bytes,
					 exchange->total, &exchange->left);
			if (ret > 0) {
				exchange->total = 0;
				origin->requests++;
			}
		} else {
			ret = request_read(exchange);
			handshake_count(origin, exchange);
		}
	} while (ret > 0);
	if (!conn_wait(&exchange->conn, origin->epoll, exchange, ret))
		exchange_free(origin, exchange);
}

static void connections_accept(struct origin *origin)
{
	for (;;) {
		int fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct exchange *exchange;

		if (fd < 0)
			return;
		exchange = calloc(1, sizeof(*exchange));
		if (!exchange)
			die("out of memory");
		conn_init(&exchange->conn, origin->context, fd, true);
		origin->open++;
		exchange_run(origin, exchange);
	}
}

/* Any input asks for the counters, which start again from zero; its end ends the origin. */
static bool command_answer(struct origin *origin)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		return false;
	printf("{\"full\": %lu, \"resumed\": %lu, \"requests\": %lu, \"open\": %lu, "
	       "\"cipher\": \"%s\", \"group\": \"%s\"}\n",
	       origin->full, origin->resumed, origin->requests, origin->open, origin->cipher,
	       origin->group);
	fflush(stdout);
	origin->full = 0;
	origin->resumed = 0;
	origin->requests = 0;
	return true;
}

static void epoll_add(int epoll, int fd, void *owner)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = owner };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl: %s", strerror(errno));
}

int origin_run(const struct options *options)
{
	struct origin origin = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct epoll_event events[EVENTS];

	origin.context = context_new(options, true);
	origin.listener = listener_open(&options->address);
	epoll_add(origin.epoll, origin.listener, &origin.listener);
	epoll_add(origin.epoll, STDIN_FILENO, &origin);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(origin.epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &origin.listener)
				connections_accept(&origin);
			else if (events[i].data.ptr != &origin)
				exchange_run(&origin, events[i].data.ptr);
			else if (!command_answer(&origin))
				return 0;
		}
	}
}
