// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/signer_process.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "pki/signer_lockdown.h"
#include "pki/signer_message.h"
#include "pki/signing_key.h"
#include "pki/token_bucket.h"

#define ERROR_LEN         512
#define SECURE_HEAP       65536 /* a few private keys; two of its pages are guards */
#define SECURE_HEAP_LEAST 32

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The head, and two parts. False: nobody listens any more. */
static bool answer(int fd, const struct signer_head *head, const struct iovec rest[2])
{
	struct iovec parts[] = {
		{.iov_base = (void *)head, .iov_len = sizeof(*head)}, rest[0], rest[1]};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
	ssize_t n;

	do {
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}

_Noreturn void signer_process_refuse(int fd, int err, const char *error)
{
	const struct signer_head head = {.verdict = SIGNER_FAILED, .err = -err};

	answer(fd, &head, (const struct iovec[]){{(void *)error, strlen(error)}, {0}});
	_exit(1);
}

/*
 * In memory that is neither swapped nor dumped, where the limits allow (CRYPTO_secure_malloc(3)).
 */
static int load_key(const struct signer_options *options, struct signing_key **out, char *error)
{
	EVP_PKEY *key = NULL;
	int err;

	CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_LEAST);
	err = ca_load_key(options->key_file, options->cert_file, options->ca->cert, &key, error,
			  ERROR_LEN);
	if (err)
		return err;
	err = signing_key_new(options->ca->cert, key, out);
	if (err)
		snprintf(error, ERROR_LEN, "%s: OpenSSL cannot sign certificates with this key",
			 options->key_file);
	return err;
}

static bool tell_algorithm(int fd, const struct signing_key *key)
{
	const struct signer_head head = {.verdict = SIGNER_SIGNED};
	uint8_t *der = NULL;
	int len = i2d_X509_ALGOR(signing_key_algorithm(key), &der);
	bool told = len > 0 && answer(fd, &head, (const struct iovec[]){{der, (size_t)len}, {0}});

	OPENSSL_free(der);
	return told;
}

static enum signer_verdict sign(const struct signing_key *key, const struct signer_ask *ask,
				const uint8_t *tbs, size_t len, struct signed_leaf *out)
{
	const struct revocation revocation = {.at = ask->revoked_at, .reason = ask->reason};

	if (ask->revoked)
		return signing_key_sign_revoked(key, tbs, len, &revocation, out);
	return signing_key_sign(key, tbs, len, &out->cert, &out->cert_len);
}

static bool serve_one(int fd, const struct signing_key *key, struct token_bucket *bucket,
		      const uint8_t *message, size_t len)
{
	struct signed_leaf made = {0};
	struct signer_head head = {.verdict = SIGNER_BUSY};
	struct signer_ask ask;
	bool served;

	if (len < sizeof(ask))
		return false;
	memcpy(&ask, message, sizeof(ask));
	head.id = ask.id;
	/* what is refused has cost time, too */
	if (token_bucket_take(bucket, clock_us()))
		head.verdict = sign(key, &ask, message + sizeof(ask), len - sizeof(ask), &made);
	head.cert_len = made.cert_len;
	served = answer(
		fd, &head,
		(const struct iovec[]){{made.cert, made.cert_len}, {made.staple, made.staple_len}});
	OPENSSL_free(made.cert);
	OPENSSL_free(made.staple);
	return served;
}

static void serve(int fd, const struct signing_key *key, uint32_t rate)
{
	static uint8_t message[SIGNER_MESSAGE_MAX];
	struct token_bucket bucket;
	ssize_t n;

	token_bucket_init(&bucket, rate, clock_us());
	do {
		/* MSG_TRUNC: the real length of what did not fit */
		n = recv(fd, message, sizeof(message), MSG_TRUNC);
	} while ((n < 0 && errno == EINTR) || (n > 0 && (size_t)n <= sizeof(message) &&
					       serve_one(fd, key, &bucket, message, (size_t)n)));
}

void signer_process(const struct signer_options *options, int fd)
{
	struct signing_key *key = NULL;
	char error[ERROR_LEN] = "";
	int err;

	/*
	 * Signals are blocked (base/child.h) and stay so: those of the terminal and of service
	 * managers go to the whole group, and are the daemon's to handle, whose last connections
	 * still want leaves. SIGKILL and the end of the socket remain.
	 */
	if (options->dies_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "ksplit-signer");
	err = load_key(options, &key, error);
	if (!err)
		err = signer_lockdown(fd, options->user, error, sizeof(error));
	if (err)
		signer_process_refuse(fd, err, error);
	if (tell_algorithm(fd, key))
		serve(fd, key, options->rate);
	signing_key_free(key);
	_exit(0);
}
