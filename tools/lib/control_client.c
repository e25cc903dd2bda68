// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <ksplit/control.h>

#include "format.h"

#define ANSWER_CHUNK 16384

/* One question on its way. */
struct exchange {
	int fd;
	int64_t end_ms; /* of CONTROL_TOTAL_MS, monotonic */
	int64_t silence_ms; /* until the answer begins, and in it */
	char *answer;
	size_t answer_len, answer_size;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait for `events` or, with 0, only for `limit_ms` to pass. 0, -ETIMEDOUT, -EINTR. */
static int exchange_wait(const struct exchange *exchange, short events, int64_t limit_ms)
{
	struct pollfd pollfd = {.fd = exchange->fd, .events = events};
	int64_t left = exchange->end_ms - now_ms();
	struct timespec timeout;
	sigset_t none;
	int n;

	if (left > limit_ms)
		left = limit_ms;
	if (left <= 0)
		return -ETIMEDOUT;
	timeout.tv_sec = left / 1000;
	timeout.tv_nsec = left % 1000 * 1000000;
	sigemptyset(&none);
	n = ppoll(&pollfd, events ? 1 : 0, &timeout, &none);
	if (n < 0)
		return -errno;
	return n == 0 && events ? -ETIMEDOUT : 0;
}

/* A full backlog gives EAGAIN at once (unix(7)): the daemon is busy, not away. */
static int exchange_connect(struct exchange *exchange, const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int64_t patience_ms = now_ms() + CONTROL_SILENCE_MS;
	int rc;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path));
	exchange->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (exchange->fd < 0)
		return -errno;
	while (connect(exchange->fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		if (errno != EAGAIN)
			return -errno;
		if (now_ms() >= patience_ms)
			return -ETIMEDOUT;
		rc = exchange_wait(exchange, 0, 50);
		if (rc)
			return rc;
	}
	return 0;
}

static int exchange_send(struct exchange *exchange, const struct control_question *question)
{
	const char *action = question->action, *tap = question->tap;
	char request[160];
	size_t len, sent = 0;
	ssize_t n;
	int rc;

	len = (size_t)snprintf(request, sizeof(request),
			       "{\"version\":%d,\"command\":\"%s\"%s%s%s%s%s%s}\n",
			       KSPLIT_CONTROL_VERSION, question->command,
			       action ? ",\"action\":\"" : "", action ? action : "",
			       action ? "\"" : "", tap ? ",\"tap\":\"" : "", tap ? tap : "",
			       tap ? "\"" : "");
	while (sent < len) {
		n = send(exchange->fd, request + sent, len - sent, MSG_NOSIGNAL);
		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno != EAGAIN)
			return -errno;
		rc = exchange_wait(exchange, POLLOUT, CONTROL_SILENCE_MS);
		if (rc)
			return rc;
	}
	return 0;
}

static int answer_grow(struct exchange *exchange)
{
	size_t size = exchange->answer_size ? 2 * exchange->answer_size : ANSWER_CHUNK;
	char *answer;

	if (exchange->answer_len < exchange->answer_size)
		return 0;
	if (size > CONTROL_ANSWER_MAX)
		return -EMSGSIZE;
	answer = realloc(exchange->answer, size);
	if (!answer)
		return -ENOMEM;
	exchange->answer = answer;
	exchange->answer_size = size;
	return 0;
}

/* Bytes up to the newline, which is overwritten with a terminator. */
static int exchange_receive(struct exchange *exchange)
{
	char *newline, *into;
	ssize_t n;
	int rc;

	for (;;) {
		rc = answer_grow(exchange);
		if (rc)
			return rc;
		into = exchange->answer + exchange->answer_len;
		n = recv(exchange->fd, into, exchange->answer_size - exchange->answer_len, 0);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			rc = exchange_wait(exchange, POLLIN, exchange->silence_ms);
			if (rc)
				return rc;
			continue;
		}
		newline = memchr(into, '\n', (size_t)n);
		exchange->answer_len += (size_t)n;
		if (!newline)
			continue;
		*newline = '\0';
		exchange->answer_len = (size_t)(newline - exchange->answer);
		return 0;
	}
}

/* What an errno of the exchange means for somebody who asked a daemon. */
static const char *error_text(int rc)
{
	switch (-rc) {
	case ENOENT: return "no such socket: is ksplitd running?";
	case ECONNREFUSED: return "nobody listens there: ksplitd has ended";
	case EACCES: return "permission denied: the socket is for its owner and group";
	case ETIMEDOUT: return "no answer within 5 s";
	case EPIPE:
	case ECONNRESET: return "closed before the answer was complete";
	case EMSGSIZE: return "the answer is longer than 64 MiB";
	case ENAMETOOLONG: return "longer than the path of a Unix socket can be";
	default: return strerror(-rc);
	}
}

/* Is it an answer that this tool understands, and not a refusal? Sets answer->data. */
static int answer_check(struct control_answer *answer, const char *path, char *error, size_t len)
{
	const cJSON *version = json_member(answer->root, "version");
	const cJSON *ok = json_member(answer->root, "ok");
	char text[256];

	if (!cJSON_IsNumber(version) || !cJSON_IsBool(ok)) {
		snprintf(error, len, "%s: the answer is not one of ksplitd", path);
		return -EPROTO;
	}
	if (version->valuedouble != KSPLIT_CONTROL_VERSION) {
		snprintf(error, len,
			 "%s: ksplitd speaks version %.15g of the protocol, this tool %d", path,
			 version->valuedouble, KSPLIT_CONTROL_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (!cJSON_IsTrue(ok)) {
		snprintf(error, len, "%s: ksplitd refused: %s", path,
			 text_safe(json_text(answer->root, "error"), text, sizeof(text)));
		return -EPROTO;
	}
	answer->data = json_member(answer->root, "data");
	if (cJSON_IsObject(answer->data))
		return 0;
	snprintf(error, len, "%s: the answer has no data", path);
	return -EPROTO;
}

/* The received line becomes the answer's. */
static int answer_open(struct exchange *exchange, struct control_answer *answer, const char *path,
		       char *error, size_t len)
{
	answer->line = exchange->answer;
	exchange->answer = NULL;
	/* A NUL inside would hide the rest from the parser. */
	if (strlen(answer->line) == exchange->answer_len)
		answer->root = cJSON_ParseWithOpts(answer->line, NULL, 1);
	if (answer->root)
		return answer_check(answer, path, error, len);
	snprintf(error, len, "%s: the answer is not JSON", path);
	return -EPROTO;
}

void control_answer_free(struct control_answer *answer)
{
	cJSON_Delete(answer->root);
	free(answer->line);
	memset(answer, 0, sizeof(*answer));
}

int control_client_ask(const char *path, const struct control_question *question,
		       struct control_answer *answer, char *error, size_t error_len)
{
	struct exchange exchange = {.fd = -1,
				    .end_ms = now_ms() + CONTROL_TOTAL_MS,
				    .silence_ms = CONTROL_SILENCE_MS};
	int rc;

	memset(answer, 0, sizeof(*answer));
	/* Much has to be made first, another ksplitd for one. */
	if (strcmp(question->command, KSPLIT_COMMAND_UPGRADE) == 0 ||
	    strcmp(question->command, KSPLIT_COMMAND_RELOAD) == 0)
		exchange.silence_ms = CONTROL_TOTAL_MS;
	rc = exchange_connect(&exchange, path);
	if (rc == 0)
		rc = exchange_send(&exchange, question);
	if (rc == 0)
		rc = exchange_receive(&exchange);
	if (rc)
		snprintf(error, error_len, "%s: %s", path, error_text(rc));
	else
		rc = answer_open(&exchange, answer, path, error, error_len);
	if (rc)
		control_answer_free(answer);
	free(exchange.answer);
	if (exchange.fd >= 0)
		close(exchange.fd);
	return rc;
}
