// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/pem_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

static int no_memory(char *error, size_t error_len)
{
	snprintf(error, error_len, "out of memory");
	return -ENOMEM;
}

static int refuse_errno(const char *path, int err, char *error, size_t error_len)
{
	snprintf(error, error_len, "%s: %s", path, strerror(err));
	return err == ENOENT || err == EACCES || err == ENOMEM ? -err : -EINVAL;
}

/* Read until EOF or `len` bytes. Bytes read or -errno. */
static ssize_t read_all(int fd, uint8_t *buf, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, buf + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* Into FILE_MAX bytes that the caller gives back with OPENSSL_clear_free. */
static int read_file(const char *path, uint8_t **out, size_t *out_len, char *error,
		     size_t error_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t *buf;
	ssize_t n;

	if (fd < 0)
		return refuse_errno(path, errno, error, error_len);
	buf = OPENSSL_malloc(FILE_MAX);
	n = buf ? read_all(fd, buf, FILE_MAX) : 0;
	close(fd);
	if (!buf)
		return no_memory(error, error_len);
	if (n >= 0 && n < FILE_MAX) {
		*out = buf;
		*out_len = (size_t)n;
		return 0;
	}
	OPENSSL_clear_free(buf, FILE_MAX);
	if (n < 0)
		return refuse_errno(path, (int)-n, error, error_len);
	snprintf(error, error_len, "%s: larger than 1 MiB, which such a file never is", path);
	return -EINVAL;
}

int pem_file_bytes(const char *path, uint8_t **out, size_t *out_len, char *error,
		   size_t error_len)
{
	uint8_t *buf = NULL;
	size_t len = 0;
	int err = read_file(path, &buf, &len, error, error_len);

	if (err)
		return err;
	*out = OPENSSL_memdup(buf, len ? len : 1);
	*out_len = len;
	OPENSSL_clear_free(buf, FILE_MAX);
	return *out ? 0 : no_memory(error, error_len);
}

/* Why the last PEM call found nothing: no block left (true) or a broken one (false). */
static bool pem_at_end(void)
{
	unsigned long err = ERR_peek_last_error();

	return ERR_GET_LIB(err) == ERR_LIB_PEM && ERR_GET_REASON(err) == PEM_R_NO_START_LINE;
}

static int parse_certs(const char *path, BIO *bio, STACK_OF(X509) *certs, char *error,
		       size_t error_len)
{
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(certs, cert))
			continue;
		X509_free(cert);
		return no_memory(error, error_len);
	}
	if (!pem_at_end()) {
		snprintf(error, error_len, "%s: certificate %d in it is damaged", path,
			 sk_X509_num(certs) + 1);
		return -EINVAL;
	}
	if (sk_X509_num(certs) > 0)
		return 0;
	snprintf(error, error_len,
		 "%s: no certificate in it; expected PEM (-----BEGIN CERTIFICATE-----)", path);
	return -EINVAL;
}

int pem_file_certs(const char *path, STACK_OF(X509) **out, char *error, size_t error_len)
{
	STACK_OF(X509) *certs = NULL;
	uint8_t *pem = NULL;
	size_t len = 0;
	BIO *bio;
	int err = read_file(path, &pem, &len, error, error_len);

	if (err)
		return err;
	ERR_set_mark();
	bio = BIO_new_mem_buf(pem, (int)len);
	certs = sk_X509_new_null();
	err = bio && certs ? parse_certs(path, bio, certs, error, error_len)
			   : no_memory(error, error_len);
	ERR_pop_to_mark();
	BIO_free(bio);
	OPENSSL_clear_free(pem, FILE_MAX);
	if (err)
		sk_X509_pop_free(certs, X509_free);
	else
		*out = certs;
	return err;
}

/* There is nobody to type a password: note that one was wanted, and fail. */
static int password_wanted(char *buf, int size, int rwflag, void *arg)
{
	bool *wanted = arg;

	(void)buf;
	(void)size;
	(void)rwflag;
	*wanted = true;
	return -1;
}

static int parse_key(const char *path, BIO *bio, bool named, EVP_PKEY **out, char *error,
		     size_t error_len)
{
	bool wanted = false;

	*out = PEM_read_bio_PrivateKey(bio, NULL, password_wanted, &wanted);
	if (*out)
		return 0;
	if (wanted)
		snprintf(error, error_len,
			 "%s: the key is password-protected; remove the password with "
			 "`openssl pkey -in %s -out key.pem`",
			 path, path);
	else if (named)
		snprintf(error, error_len,
			 "%s: the private key in it is damaged or of a kind that OpenSSL does not "
			 "know",
			 path);
	else
		snprintf(error, error_len,
			 "%s: no private key in it; expected PEM (-----BEGIN PRIVATE KEY-----)",
			 path);
	return -EINVAL;
}

int pem_file_key(const char *path, EVP_PKEY **out, char *error, size_t error_len)
{
	static const char mark[] = "PRIVATE KEY-----";
	uint8_t *pem = NULL;
	size_t len = 0;
	BIO *bio;
	int err = read_file(path, &pem, &len, error, error_len);

	if (err)
		return err;
	ERR_set_mark();
	bio = BIO_new_mem_buf(pem, (int)len);
	err = bio ? parse_key(path, bio, memmem(pem, len, mark, sizeof(mark) - 1) != NULL, out,
			      error, error_len)
		  : no_memory(error, error_len);
	ERR_pop_to_mark();
	BIO_free(bio);
	OPENSSL_clear_free(pem, FILE_MAX);
	return err;
}
