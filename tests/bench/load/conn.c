// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

#include "load.h"

_Noreturn void die(const char *format, ...)
{
	unsigned long error = ERR_peek_error();
	va_list list;

	va_start(list, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, list);
	va_end(list);
	if (error)
		fprintf(stderr, ": %s", ERR_reason_error_string(error));
	fputc('\n', stderr);
	exit(1);
}

char *scratch_buffer(void)
{
	static char buffer[RECORD_BYTES];

	return buffer;
}

static void context_set_identity(SSL_CTX *context, const struct options *options)
{
	if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
		die("%s", options->cert);
	if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
		die("%s", options->key);
}

SSL_CTX *context_new(const struct options *options, bool server)
{
	SSL_CTX *context;

	if (options->plain)
		return NULL;
	context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION))
		die("no TLS 1.3");
	if (options->ciphers && !SSL_CTX_set_ciphersuites(context, options->ciphers))
		die("%s: no such cipher suite", options->ciphers);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1);
	if (server) {
		context_set_identity(context, options);
		return context;
	}
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(context, options->ca, NULL) != 1)
		die("%s", options->ca);
	return context;
}

void conn_init(struct conn *conn, SSL_CTX *context, int fd, bool server)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn->fd = fd;
	conn->events = 0;
	conn->ssl = NULL;
	if (!context)
		return;
	conn->ssl = SSL_new(context);
	if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1)
		die("out of memory");
	if (server)
		SSL_set_accept_state(conn->ssl);
	else
		SSL_set_connect_state(conn->ssl);
}

void conn_free(struct conn *conn)
{
	if (conn->ssl && conn_established(conn) &&
	    !(SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN))
		SSL_shutdown(conn->ssl);
	ERR_clear_error();
	SSL_free(conn->ssl);
	close(conn->fd);
	conn->ssl = NULL;
	conn->fd = -1;
}

void conn_shutdown(struct conn *conn)
{
	if (conn->ssl)
		SSL_shutdown(conn->ssl);
	else
		shutdown(conn->fd, SHUT_WR);
}

bool conn_established(const struct conn *conn)
{
	return !conn->ssl || SSL_is_init_finished(conn->ssl);
}

/* Of recv() and send(). */
static int plain_result(struct conn *conn, ssize_t ret, uint32_t would_wait)
{
	conn->wanted = ret < 0 && (errno == EAGAIN || errno == EINTR) ? would_wait : 0;
	return (int)ret;
}

int conn_read(struct conn *conn, void *into, size_t room)
{
	if (conn->ssl)
		return SSL_read(conn->ssl, into, (int)room);
	return plain_result(conn, recv(conn->fd, into, room, 0), EPOLLIN);
}

static int conn_send(struct conn *conn, const void *from, size_t bytes)
{
	if (conn->ssl)
		return SSL_write(conn->ssl, from, (int)bytes);
	return plain_result(conn, send(conn->fd, from, bytes, MSG_NOSIGNAL), EPOLLOUT);
}

static uint32_t conn_wanted(const struct conn *conn, int ret)
{
	if (!conn->ssl)
		return conn->wanted;
	switch (SSL_get_error(conn->ssl, ret)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
	default: return 0;
	}
}

bool conn_wait(struct conn *conn, int epoll, void *owner, int ret)
{
	struct epoll_event event = { .events = conn_wanted(conn, ret), .data.ptr = owner };
	int op = conn->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (!event.events)
		return false;
	if (event.events == conn->events)
		return true;
	conn->events = event.events;
	if (epoll_ctl(epoll, op, conn->fd, &event))
		die("epoll_ctl: %s", strerror(errno));
	return true;
}

/*
 * A record that OpenSSL could not send whole is kept encrypted by it: the repeated call must have
 * the same length, its content is not looked at again.
 */
int conn_write(struct conn *conn, const char *head, size_t head_bytes, uint64_t total,
	       uint64_t *left)
{
	static char first[RECORD_BYTES];
	static char filler[RECORD_BYTES];

	while (*left) {
		size_t bytes = *left < RECORD_BYTES ? (size_t)*left : RECORD_BYTES;
		const char *from = filler;
		int ret;

		if (*left == total) {
			memcpy(first, head, head_bytes);
			from = first;
		}
		ret = conn_send(conn, from, bytes);
		if (ret <= 0)
			return ret;
		*left -= (uint64_t)ret;
	}
	return 1;
}
