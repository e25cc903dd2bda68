// SPDX-License-Identifier: GPL-2.0-or-later
/* The self-test against listeners that are right, and wrong in every way that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "capture/self_test.h"

#define TIMEOUT_MS 2000

enum manner {
	PASSES,     /* bytes, to the origin and back, as policy may have it */
	WRONG_LEAF, /* answers by itself, with a leaf of nobody's */
	RIGHT_LEAF, /* the CA's leaf, and the right byte, but never asks the origin */
	CLOSES,     /* takes the connection and ends it */
};

/* A stand-in for ksplitd's listener: serves one call on its own thread. */
struct listener {
	enum manner manner;
	struct self_test *test;
	struct sockaddr_in address;
	int fd;
	pthread_t thread;
	X509 *ca; /* signs RIGHT_LEAF's leaf, which is itself */
	EVP_PKEY *key;
	bool known; /* the caller was the test's */
};

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	assert_true(X509_set_version(cert, X509_VERSION_3));
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"ca", -1, -1,
				   0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()));
	return cert;
}

static void copy(int from, int to)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(from, bytes, sizeof(bytes), 0)) > 0)
		if (send(to, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	shutdown(to, SHUT_WR);
}

struct way {
	int from, to;
};

static void *copy_thread(void *arg)
{
	const struct way *way = arg;

	copy(way->from, way->to);
	return NULL;
}

static void pass_on(int client, const struct sockaddr_in *origin)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct way back = {fd, client};
	pthread_t thread;

	if (connect(fd, (const struct sockaddr *)origin, sizeof(*origin)) == 0 &&
	    pthread_create(&thread, NULL, copy_thread, &back) == 0) {
		copy(client, fd);
		pthread_join(thread, NULL);
	}
	close(fd);
}

static void answer(const struct listener *listener, int client)
{
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY *key = listener->manner == WRONG_LEAF ? other : listener->key;
	X509 *leaf = make_certificate(key);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl;
	char byte;

	SSL_CTX_use_certificate(ctx, leaf);
	SSL_CTX_use_PrivateKey(ctx, key);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, client);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1 && SSL_write(ssl, &byte, 1) == 1)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	X509_free(leaf);
	EVP_PKEY_free(other);
}

static void *listener_thread(void *arg)
{
	struct listener *listener = arg;
	struct sockaddr_in client = {0}, origin = {0};
	socklen_t len = sizeof(client);
	int fd = accept(listener->fd, (struct sockaddr *)&client, &len);

	listener->known = self_test_destination(listener->test, (struct sockaddr *)&client,
						(struct sockaddr *)&origin);
	switch (listener->manner) {
	case PASSES: pass_on(fd, &origin); break;
	case WRONG_LEAF:
	case RIGHT_LEAF: answer(listener, fd); break;
	case CLOSES: break;
	}
	close(fd);
	return NULL;
}

static void open_listener(struct listener *listener, enum manner manner)
{
	socklen_t len = sizeof(listener->address);

	*listener = (struct listener){.manner = manner};
	assert_int_equal(self_test_new(&listener->test), 0);
	listener->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	listener->ca = make_certificate(listener->key);
	listener->fd = socket(AF_INET, SOCK_STREAM, 0);
	listener->address.sin_family = AF_INET;
	listener->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener->fd, (struct sockaddr *)&listener->address, len), 0);
	assert_int_equal(listen(listener->fd, 8), 0);
	getsockname(listener->fd, (struct sockaddr *)&listener->address, &len);
	assert_int_equal(pthread_create(&listener->thread, NULL, listener_thread, listener), 0);
}

static void close_listener(struct listener *listener)
{
	close(listener->fd);
	X509_free(listener->ca);
	EVP_PKEY_free(listener->key);
	self_test_free(listener->test);
}

static int run(enum manner manner, char *error, size_t error_len)
{
	struct listener listener;
	struct sockaddr_in any;
	int err;

	open_listener(&listener, manner);
	/* What listens on all addresses is called on loopback. */
	any = listener.address;
	any.sin_addr.s_addr = htonl(INADDR_ANY);
	err = self_test_run(listener.test, (struct sockaddr *)&any, listener.ca, TIMEOUT_MS, error,
			    error_len);
	pthread_join(listener.thread, NULL);
	assert_true(listener.known);
	/* Not any more. */
	assert_false(self_test_destination(listener.test, (struct sockaddr *)&listener.address,
					   (struct sockaddr *)&any));
	close_listener(&listener);
	return err;
}

static void test_byte_that_comes_back(void **state)
{
	char error[200] = "";

	(void)state;
	assert_int_equal(run(PASSES, error, sizeof(error)), 0);
}

static void test_listeners_that_are_not_right(void **state)
{
	static const struct {
		enum manner manner;
		const char *error;
	} cases[] = {
		{WRONG_LEAF, "not signed by the CA"},
		{RIGHT_LEAF, "did not come from the origin"},
		{CLOSES, "no TLS handshake"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[200] = "";

		assert_true(run(cases[i].manner, error, sizeof(error)) < 0);
		if (!strstr(error, cases[i].error))
			fail_msg("%zu: %s", i, error);
	}
}

static void test_nobody_listens(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *ca = make_certificate(key);
	struct self_test *test;
	char error[200] = "";

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(self_test_new(&test), 0);
	assert_int_equal(self_test_run(test, (struct sockaddr *)&address, ca, TIMEOUT_MS, error,
				       sizeof(error)),
			 -ECONNREFUSED);
	assert_non_null(strstr(error, "cannot connect"));
	self_test_free(test);
	self_test_free(NULL);
	X509_free(ca);
	EVP_PKEY_free(key);
}

static void test_nobody_is_a_caller_without_a_test(void **state)
{
	struct sockaddr_in client = {.sin_family = AF_INET}, out;
	struct self_test *test;

	(void)state;
	assert_false(
		self_test_destination(NULL, (struct sockaddr *)&client, (struct sockaddr *)&out));
	assert_int_equal(self_test_new(&test), 0);
	assert_false(
		self_test_destination(test, (struct sockaddr *)&client, (struct sockaddr *)&out));
	self_test_free(test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_that_comes_back),
		cmocka_unit_test(test_listeners_that_are_not_right),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_nobody_is_a_caller_without_a_test),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
