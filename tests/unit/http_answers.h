/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_HTTP_ANSWERS_H
#define KSPLIT_TESTS_HTTP_ANSWERS_H

/*
 * An HTTP server of one thread that gives prepared answers, one a connection; the last one again
 * and again. An answer of NULL is none at all: the connection stays open until the server ends.
 * Include after cmocka.h.
 */

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS_MAX 8
#define REQUEST_MAX 65536
#define HELD_MAX    16

struct http_answers {
	const char *answers[ANSWERS_MAX];
	int n;
	int listener, held[HELD_MAX], held_len;
	uint16_t port;
	pthread_t thread;
	atomic_bool ending;
	atomic_int requests;
	char first[REQUEST_MAX]; /* the first request, head and body */
};

/* Read head and body (Content-Length). */
static inline void http_answers_read(int fd, char *text)
{
	size_t len = 0, body = 0;
	char *end = NULL;

	while (len < REQUEST_MAX - 1) {
		ssize_t n = recv(fd, text + len, REQUEST_MAX - 1 - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (!end)
			continue;
		if (strstr(text, "Content-Length: "))
			body = (size_t)atol(strstr(text, "Content-Length: ") + 16);
		if (len >= (size_t)(end + 4 - text) + body)
			break;
	}
	text[len] = '\0';
}

static inline void http_answers_serve(struct http_answers *server, int fd)
{
	static const struct timeval patience = {.tv_sec = 10};
	int number = atomic_load(&server->requests);
	const char *answer = server->answers[number < server->n ? number : server->n - 1];
	char *text = malloc(REQUEST_MAX);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	http_answers_read(fd, text);
	if (number == 0)
		memcpy(server->first, text, REQUEST_MAX);
	free(text);
	atomic_store(&server->requests, number + 1);
	if (!answer && server->held_len < HELD_MAX) {
		server->held[server->held_len++] = fd;
		return;
	}
	if (answer)
		send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	close(fd);
}

static inline void *http_answers_main(void *arg)
{
	struct http_answers *server = arg;

	while (!atomic_load(&server->ending)) {
		struct pollfd pfd = {.fd = server->listener, .events = POLLIN};
		int fd;

		if (poll(&pfd, 1, 20) != 1)
			continue;
		fd = accept(server->listener, NULL, NULL);
		if (fd >= 0)
			http_answers_serve(server, fd);
	}
	return NULL;
}

/* Answers are set already. */
static inline void http_answers_start(struct http_answers *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	for (server->n = 0; server->n < ANSWERS_MAX && server->answers[server->n]; server->n++)
		;
	if (server->n == 0)
		server->n = 1;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->listener >= 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, http_answers_main, server), 0);
}

static inline void http_answers_end(struct http_answers *server)
{
	atomic_store(&server->ending, true);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->held_len; i++)
		close(server->held[i]);
	close(server->listener);
}

#define HTTP_ANSWER(status, headers, body)                                                         \
	"HTTP/1.1 " status "\r\nConnection: close\r\n" headers "\r\n" body

#endif
