// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/self_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "capture/address.h"

#define KEY_TYPE "P-256"
#define VALID_S  3600

struct self_test {
	_Atomic bool running; /* spares the lock on every connection but those of a test */
	pthread_mutex_t lock;
	union capture_address caller, origin; /* under lock */
};

/* One test under way. */
struct trial {
	int timeout_ms;
	int listen_fd; /* of the origin */
	X509 *cert;    /* the origin's */
	EVP_PKEY *key;
	pthread_t thread;
	bool origin_served; /* by the origin's thread; read when it has ended */
};

int self_test_new(struct self_test **out)
{
	struct self_test *test = calloc(1, sizeof(*test));

	if (!test)
		return -ENOMEM;
	pthread_mutex_init(&test->lock, NULL);
	*out = test;
	return 0;
}

void self_test_free(struct self_test *test)
{
	if (!test)
		return;
	pthread_mutex_destroy(&test->lock);
	free(test);
}

bool self_test_destination(struct self_test *test, const struct sockaddr *client,
			   struct sockaddr *out)
{
	bool found;

	if (!test || !atomic_load(&test->running))
		return false;
	pthread_mutex_lock(&test->lock);
	found = capture_address_same(&test->caller, (const union capture_address *)client);
	if (found)
		memcpy(out, &test->origin, capture_address_len(&test->origin));
	pthread_mutex_unlock(&test->lock);
	return found;
}

/* --- the origin --- */

static int set_name(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					  (const unsigned char *)SELF_TEST_NAME, -1, -1, 0) &&
	       X509_set_issuer_name(cert, name);
}

static int make_certificate(struct trial *trial)
{
	trial->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", KEY_TYPE);
	trial->cert = X509_new();
	if (!trial->key || !trial->cert || !X509_set_version(trial->cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(trial->cert), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(trial->cert), -VALID_S) ||
	    !X509_gmtime_adj(X509_getm_notAfter(trial->cert), VALID_S) ||
	    !X509_set_pubkey(trial->cert, trial->key) || !set_name(trial->cert) ||
	    !X509_sign(trial->cert, trial->key, EVP_sha256()))
		return -EIO;
	return 0;
}

static int open_origin(struct trial *trial, union capture_address *address)
{
	socklen_t len = sizeof(address->in);

	*address = (union capture_address){
		.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	trial->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (trial->listen_fd < 0 || bind(trial->listen_fd, &address->sa, len) ||
	    listen(trial->listen_fd, 4) || getsockname(trial->listen_fd, &address->sa, &len))
		return -errno;
	return 0;
}

/* Blocking calls on this socket end in time. */
static void limit_time(int fd, int timeout_ms)
{
	const struct timeval time = {.tv_sec = timeout_ms / 1000,
				     .tv_usec = timeout_ms % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

/* Handshake, one byte in, the same byte out. */
static bool echo(struct trial *trial, SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	char byte;
	bool served;

	limit_time(fd, trial->timeout_ms);
	served = ssl && SSL_set_fd(ssl, fd) && SSL_accept(ssl) == 1 &&
		 SSL_read(ssl, &byte, 1) == 1 && SSL_write(ssl, &byte, 1) == 1;
	if (served)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	return served;
}

/* The first caller that means it, or the end of the time. */
static void *origin_thread(void *arg)
{
	struct trial *trial = arg;
	struct pollfd poll_fd = {.fd = trial->listen_fd, .events = POLLIN};
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx && SSL_CTX_use_certificate(ctx, trial->cert) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, trial->key) == 1) {
		/* A caller that goes away may come again: a second try, or raw. */
		for (int tries = 0; tries < 3 && !trial->origin_served; tries++) {
			int fd;

			if (poll(&poll_fd, 1, trial->timeout_ms) <= 0)
				break;
			fd = accept4(trial->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				break;
			trial->origin_served = echo(trial, ctx, fd);
			close(fd);
		}
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static int start_origin(struct trial *trial)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&trial->thread, NULL, origin_thread, trial);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

/* --- the caller --- */

/* Whom to call: an address that listens for all is called on loopback. */
static void target_of(const struct sockaddr *listener, union capture_address *target)
{
	memset(target, 0, sizeof(*target));
	memcpy(target, listener,
	       listener->sa_family == AF_INET6 ? sizeof(target->in6) : sizeof(target->in));
	if (target->sa.sa_family == AF_INET6) {
		if (IN6_IS_ADDR_UNSPECIFIED(&target->in6.sin6_addr))
			target->in6.sin6_addr = in6addr_loopback;
	} else if (target->in.sin_addr.s_addr == htonl(INADDR_ANY)) {
		target->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

/* A socket at the listener's own address, whose port nobody else can have: the workers know it. */
static int open_caller(struct self_test *test, const struct trial *trial,
		       const union capture_address *target, const union capture_address *origin)
{
	union capture_address caller = *target;
	socklen_t len = sizeof(caller);
	int fd = socket(target->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (caller.sa.sa_family == AF_INET6)
		caller.in6.sin6_port = 0;
	else
		caller.in.sin_port = 0;
	if (bind(fd, &caller.sa, capture_address_len(&caller)) ||
	    getsockname(fd, &caller.sa, &len)) {
		int err = -errno;

		close(fd);
		return err;
	}
	pthread_mutex_lock(&test->lock);
	test->caller = caller;
	test->origin = *origin;
	pthread_mutex_unlock(&test->lock);
	atomic_store(&test->running, true);
	limit_time(fd, trial->timeout_ms);
	return fd;
}

static int fail(char *error, size_t error_len, const char *what)
{
	snprintf(error, error_len, "%s", what);
	return -EPROTO;
}

/* Ours, or the origin's own where policy had the call passed through. */
static bool leaf_is_right(const struct trial *trial, const SSL *ssl, X509 *ca)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);

	return leaf && ((ca && X509_verify(leaf, X509_get0_pubkey(ca)) == 1) ||
			X509_cmp(leaf, trial->cert) == 0);
}

static int talk(const struct trial *trial, SSL *ssl, X509 *ca, char *error, size_t error_len)
{
	const char sent = 'k';
	char got = 0;

	if (SSL_connect(ssl) != 1)
		return fail(error, error_len, "no TLS handshake with the listener");
	if (!leaf_is_right(trial, ssl, ca))
		return fail(error, error_len, "the listener's leaf is not signed by the CA");
	if (SSL_write(ssl, &sent, 1) != 1 || SSL_read(ssl, &got, 1) != 1 || got != sent)
		return fail(error, error_len, "no byte came back from the origin");
	SSL_shutdown(ssl);
	return 0;
}

static int call(struct self_test *test, const struct trial *trial,
		const union capture_address *target, const union capture_address *origin, X509 *ca,
		char *error, size_t error_len)
{
	int fd = open_caller(test, trial, target, origin), err;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;

	if (fd < 0) {
		err = fd;
		snprintf(error, error_len, "cannot open a socket at the listener's address: %s",
			 strerror(-fd));
	} else if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, SELF_TEST_NAME)) {
		err = fail(error, error_len, "out of memory");
	} else if (connect(fd, &target->sa, capture_address_len(target))) {
		err = -errno;
		snprintf(error, error_len, "cannot connect to the listener: %s", strerror(-err));
	} else {
		err = talk(trial, ssl, ca, error, error_len);
	}
	atomic_store(&test->running, false);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	if (fd >= 0)
		close(fd);
	return err;
}

int self_test_run(struct self_test *test, const struct sockaddr *listener, X509 *ca, int timeout_ms,
		  char *error, size_t error_len)
{
	struct trial trial = {.timeout_ms = timeout_ms, .listen_fd = -1};
	union capture_address target, origin;
	int err = make_certificate(&trial);

	snprintf(error, error_len, "cannot make an origin on 127.0.0.1");
	if (!err)
		err = open_origin(&trial, &origin);
	if (!err)
		err = start_origin(&trial);
	if (!err) {
		target_of(listener, &target);
		err = call(test, &trial, &target, &origin, ca, error, error_len);
		/* Nobody comes any more: have the thread's wait end. */
		shutdown(trial.listen_fd, SHUT_RDWR);
		pthread_join(trial.thread, NULL);
		if (!err && !trial.origin_served)
			err = fail(error, error_len, "the byte did not come from the origin");
	}
	if (trial.listen_fd >= 0)
		close(trial.listen_fd);
	X509_free(trial.cert);
	EVP_PKEY_free(trial.key);
	return err;
}
