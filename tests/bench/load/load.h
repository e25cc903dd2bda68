/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The measuring ends: a TLS 1.3 origin and a client that loads what stands between; with --plain
 * both speak bare TCP. Both are one thread and one epoll loop, so that they cost little and are the
 * same for every proxy.
 *
 * They speak HTTP/1.1: "GET /N" is answered with a body of N bytes, "POST /N" with a body as
 * announced by Content-Length is read to its end and then answered the same way. What begins with
 * API_PATH is answered as in api.h.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <openssl/ssl.h>

#define RECORD_BYTES  16384 /* the largest record TLS 1.3 allows, RFC 8446 5.1 */
#define SMALL_BYTES   1024  /* a small message, head and body together */
#define HEAD_MAX      4096
#define RESPONSE_HEAD "HTTP/1.1 200 OK\r\nContent-Length: %012llu\r\n\r\n"
#define RESPONSE_HEAD_BYTES 49

struct options {
	struct sockaddr_in address;
	const char *cert;
	const char *key;
	const char *ca;
	const char *name;    /* server name: SNI, and what the certificate must say */
	const char *ciphers; /* TLS 1.3 cipher suites; NULL: the library's own */
	bool plain;	     /* no TLS */
	unsigned long count;
	unsigned long connections;
	unsigned int seconds;
};

/*
 * One non-blocking connection. The owner calls conn_wait() after each step that could not go
 * on, and conn_free() at the end.
 */
struct conn {
	SSL *ssl; /* NULL: bare TCP */
	int fd;
	uint32_t events; /* what epoll waits for now */
	uint32_t wanted; /* bare TCP: what the last call would have waited for; 0: it is over */
};

/* The context of either end: TLS 1.3 alone, cipher suites as given; NULL for --plain. Exits on a
 * bad argument. */
SSL_CTX *context_new(const struct options *options, bool server);

/* Takes ownership of fd; context NULL: bare TCP. Exits when memory runs out. */
void conn_init(struct conn *conn, SSL_CTX *context, int fd, bool server);

/* Sends close_notify if the session stands, closes the descriptor, frees the session. */
void conn_free(struct conn *conn);

/* Says that nothing more will be sent: close_notify, or the end of the TCP stream. */
void conn_shutdown(struct conn *conn);

/* Is the handshake over? */
bool conn_established(const struct conn *conn);

/* As SSL_read(); what is not above zero is for conn_wait(). */
int conn_read(struct conn *conn, void *into, size_t room);

/*
 * Makes epoll wait for what a call that returned ret needs. owner comes back in the event.
 * Returns false when the connection is at its end or broken.
 */
bool conn_wait(struct conn *conn, int epoll, void *owner, int ret);

/*
 * Writes the rest of a message: head first, then filler, in records of RECORD_BYTES. *left is what
 * remains of head and filler together, total what it was at first. Returns 1 when all is written,
 * else what is for conn_wait().
 */
int conn_write(struct conn *conn, const char *head, size_t head_bytes, uint64_t total,
	       uint64_t *left);

/* A buffer of RECORD_BYTES that holds nothing of interest, for what is read and thrown away. */
char *scratch_buffer(void);

/* Ends the program with a message and, where OpenSSL has one, its reason. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The programs behind the command's first word; each returns an exit code. */
int origin_run(const struct options *options);
int client_connect(const struct options *options);
int client_download(const struct options *options);
int client_upload(const struct options *options);
int client_small(const struct options *options);
int client_api(const struct options *options);
int client_idle(const struct options *options);
int floor_run(const struct options *options);

#endif
