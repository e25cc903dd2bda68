/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The measuring ends: a TLS 1.3 origin and a client that loads what stands between. Both are one
 * thread and one epoll loop, so that they cost little and are the same for every proxy.
 *
 * They speak HTTP/1.1: "GET /N" is answered with a body of N bytes, "POST /N" with a body as
 * announced by Content-Length is read to its end and then answered the same way.
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
	unsigned long count;
	unsigned long connections;
	unsigned int seconds;
};

/*
 * One non-blocking TLS connection. The owner calls conn_wait() after each step that could not go
 * on, and conn_free() at the end.
 */
struct conn {
	SSL *ssl;
	int fd;
	uint32_t events; /* what epoll waits for now */
};

/* The context of either end: TLS 1.3 alone, cipher suites as given. Exits on a bad argument. */
SSL_CTX *context_new(const struct options *options, bool server);

/* Takes ownership of fd. Exits when memory runs out. */
void conn_init(struct conn *conn, SSL_CTX *context, int fd, bool server);

/* Sends close_notify if the session stands, closes the descriptor, frees the session. */
void conn_free(struct conn *conn);

/*
 * Makes epoll wait for what a call that returned ret needs. owner comes back in the event.
 * Returns false when the connection is at its end or broken.
 */
bool conn_wait(struct conn *conn, int epoll, void *owner, int ret);

/*
 * Writes the rest of a message: head first, then filler, in records of RECORD_BYTES. *left is what
 * remains of head and filler together, total what it was at first. Returns 1 when all is written,
 * else what SSL_write() returned.
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
int client_idle(const struct options *options);
int floor_run(const struct options *options);

#endif
