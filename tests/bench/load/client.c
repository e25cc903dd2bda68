// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every mode goes through the same steps, in which the harness reads the proxy's clocks: open the
 * lasting connections with one small exchange on each, say "ready", wait for a line, do the work,
 * say what was done, wait for the end of input, close.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "api.h"
#include "load.h"

#define EVENTS      256
#define AT_ONCE     16 /* handshakes in flight while lasting connections are opened */
#define CONNECT_MAX 4  /* the same for the connections that are measured */

enum step { STEP_SEND, STEP_RECEIVE, STEP_REST, STEP_CLOSE };

/* Sizes of one exchange, head included. */
struct message {
	char head[HEAD_MAX];
	size_t head_bytes;
	uint64_t request;
	uint64_t response;
};

struct call {
	struct conn conn;
	enum step step;
	uint64_t left;
	unsigned long exchanges; /* still to do, the running one included */
	struct call *next;
};

struct client {
	const struct options *options;
	SSL_CTX *context;
	int epoll;
	struct message message;
	struct call *resting;  /* open, with nothing to do */
	unsigned long running; /* calls that are not resting */
	unsigned long done;
	bool keep;
	char cipher[64];
	char group[64];
	char issuer[64];
};

/* A head that makes the request as long as asked, or, for an upload, announces a body. */
static void message_init(struct message *message, uint64_t request, uint64_t response)
{
	bool upload = request > SMALL_BYTES;
	int bytes;

	bytes = snprintf(message->head, HEAD_MAX,
			 "%s /%llu HTTP/1.1\r\nHost: bench.example\r\nAccept: */*\r\n",
			 upload ? "POST" : "GET",
			 (unsigned long long)(response - RESPONSE_HEAD_BYTES));
	if (upload)
		bytes += snprintf(message->head + bytes, HEAD_MAX - (size_t)bytes,
				  "Content-Length: %012llu\r\n\r\n",
				  (unsigned long long)request - (unsigned long long)bytes - 32);
	else
		bytes += snprintf(message->head + bytes, HEAD_MAX - (size_t)bytes,
				  "Cookie: %0*d\r\n\r\n", SMALL_BYTES - bytes - 12, 0);
	message->head_bytes = (size_t)bytes;
	message->request = request;
	message->response = response;
}

/* What an SDK asks of an API, head and body. */
static void message_init_api(struct message *message)
{
	message->head_bytes = (size_t)snprintf(message->head, HEAD_MAX, "%s", API_REQUEST);
	message->request = message->head_bytes;
	message->response = strlen(API_RESPONSE) + API_RESPONSE_BODY;
}

static void call_begin(struct client *client, struct call *call)
{
	call->step = STEP_SEND;
	call->left = client->message.request;
}

static void call_open(struct client *client)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct sockaddr_in *address = &client->options->address;
	struct call *call = calloc(1, sizeof(*call));

	if (fd < 0 || !call)
		die("socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	conn_init(&call->conn, client->context, fd, false);
	if (call->conn.ssl &&
	    (SSL_set_tlsext_host_name(call->conn.ssl, client->options->name) != 1 ||
	     SSL_set1_host(call->conn.ssl, client->options->name) != 1))
		die("%s: no server name", client->options->name);
	call->exchanges = 1;
	client->running++;
	call_begin(client, call);
	/* Not connected yet: the first write of OpenSSL would fail, so wait for the socket. */
	call->conn.events = EPOLLOUT;
	if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd,
		      &(struct epoll_event){ .events = EPOLLOUT, .data.ptr = call }))
		die("epoll_ctl: %s", strerror(errno));
}

/* What the first connection agreed on is told for all. */
static void session_note(struct client *client, SSL *ssl)
{
	X509 *leaf = client->cipher[0] || !ssl ? NULL : SSL_get0_peer_certificate(ssl);
	const char *group;

	if (!leaf)
		return;
	group = OBJ_nid2sn((int)SSL_get_negotiated_group(ssl));
	snprintf(client->cipher, sizeof(client->cipher), "%s", SSL_get_cipher_name(ssl));
	snprintf(client->group, sizeof(client->group), "%s", group ? group : "?");
	X509_NAME_get_text_by_NID(X509_get_issuer_name(leaf), NID_commonName, client->issuer,
				  sizeof(client->issuer));
}

/* An exchange is complete: the next one, rest, or the end of the call. */
static void call_advance(struct client *client, struct call *call)
{
	session_note(client, call->conn.ssl);
	client->done++;
	if (--call->exchanges) {
		call_begin(client, call);
		return;
	}
	if (client->keep) {
		call->step = STEP_REST;
		call->next = client->resting;
		client->resting = call;
		client->running--;
		return;
	}
	call->step = STEP_CLOSE;
	conn_shutdown(&call->conn);
}

static void call_end(struct client *client, struct call *call)
{
	if (call->step != STEP_CLOSE)
		die("%s: connection lost after %lu exchanges",
		    conn_established(&call->conn) ? "exchange" : "handshake", client->done);
	conn_free(&call->conn);
	free(call);
	client->running--;
}

static int call_step(struct client *client, struct call *call)
{
	const struct message *message = &client->message;
	int ret;

	if (call->step == STEP_SEND) {
		ret = conn_write(&call->conn, message->head, message->head_bytes, message->request,
				 &call->left);
		if (ret > 0) {
			call->step = STEP_RECEIVE;
			call->left = message->response;
		}
		return ret;
	}
	ret = conn_read(&call->conn, scratch_buffer(), RECORD_BYTES);
	if (ret <= 0 || call->step != STEP_RECEIVE)
		return ret;
	if ((uint64_t)ret > call->left)
		die("an answer longer than asked for");
	call->left -= (uint64_t)ret;
	if (!call->left)
		call_advance(client, call);
	return ret;
}

static void call_run(struct client *client, struct call *call)
{
	int ret;

	ERR_clear_error();
	do {
		ret = call_step(client, call);
	} while (ret > 0);
	if (!conn_wait(&call->conn, client->epoll, call, ret))
		call_end(client, call);
}

static void events_run(struct client *client)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(client->epoll, events, EVENTS, -1);

	for (int i = 0; i < count; i++)
		call_run(client, events[i].data.ptr);
}

static void calls_open(struct client *client, unsigned long count, unsigned long at_once)
{
	while (count || client->running) {
		for (; count && client->running < at_once; count--)
			call_open(client);
		events_run(client);
	}
}

/* Gives every resting call that many exchanges and waits for them all. */
static void calls_exchange(struct client *client, unsigned long exchanges)
{
	struct call *call = client->resting;
	struct call *next;

	client->resting = NULL;
	for (; call; call = next) {
		next = call->next;
		call->exchanges = exchanges;
		client->running++;
		call_begin(client, call);
		call_run(client, call);
	}
	while (client->running)
		events_run(client);
}

static void calls_close(struct client *client)
{
	struct call *call = client->resting;
	struct call *next;

	client->keep = false;
	client->resting = NULL;
	for (; call; call = next) {
		next = call->next;
		call->step = STEP_CLOSE;
		client->running++;
		conn_shutdown(&call->conn);
		call_run(client, call);
	}
	while (client->running)
		events_run(client);
}

static void harness_say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static void harness_wait(void)
{
	char line[64];

	while (read(STDIN_FILENO, line, sizeof(line)) < 0 && errno == EINTR)
		continue;
}

static double clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void result_say(const struct client *client, double seconds)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"exchanges\": %lu, \"seconds\": %.6f, \"cipher\": \"%s\", \"group\": \"%s\", "
		 "\"issuer\": \"%s\"}",
		 client->done, seconds, client->cipher, client->group, client->issuer);
	harness_say(text);
}

/*
 * lasting connections, then each does that many exchanges of this message, or, without any, fresh
 * connections with one exchange each.
 */
static int message_run(const struct options *options, unsigned long lasting, unsigned long fresh,
		       unsigned long exchanges, const struct message *message)
{
	struct client client = { .options = options, .keep = true };
	double start;

	client.context = context_new(options, false);
	client.epoll = epoll_create1(EPOLL_CLOEXEC);
	message_init(&client.message, SMALL_BYTES, SMALL_BYTES);
	calls_open(&client, lasting, AT_ONCE);
	client.message = *message;
	client.done = 0;
	harness_say("ready");
	harness_wait();

	start = clock_seconds();
	client.keep = !fresh;
	if (fresh)
		calls_open(&client, fresh, CONNECT_MAX);
	else if (exchanges)
		calls_exchange(&client, exchanges);
	result_say(&client, clock_seconds() - start);
	harness_wait();
	calls_close(&client);
	close(client.epoll);
	SSL_CTX_free(client.context);
	return 0;
}

/* The same with a message of the given sizes. */
static int client_run(const struct options *options, unsigned long lasting, unsigned long fresh,
		      unsigned long exchanges, uint64_t request, uint64_t response)
{
	struct message message;

	message_init(&message, request, response);
	return message_run(options, lasting, fresh, exchanges, &message);
}

int client_connect(const struct options *options)
{
	return client_run(options, 0, options->count, 0, SMALL_BYTES, SMALL_BYTES);
}

int client_download(const struct options *options)
{
	return client_run(options, 1, 0, 1, SMALL_BYTES, (uint64_t)options->count << 20);
}

int client_upload(const struct options *options)
{
	return client_run(options, 1, 0, 1, (uint64_t)options->count << 20, SMALL_BYTES);
}

int client_small(const struct options *options)
{
	unsigned long each = options->count / options->connections;

	return client_run(options, options->connections, 0, each, SMALL_BYTES, SMALL_BYTES);
}

int client_api(const struct options *options)
{
	struct message message;

	message_init_api(&message);
	return message_run(options, options->connections, 0, options->count / options->connections,
			   &message);
}

int client_idle(const struct options *options)
{
	return client_run(options, options->count, 0, 0, SMALL_BYTES, SMALL_BYTES);
}
