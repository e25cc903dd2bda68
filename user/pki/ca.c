// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_FILE_MAX (1024 * 1024)

/* Where the one line for the user goes. */
struct complaint {
	char *text;
	size_t len;
};

__attribute__((format(printf, 3, 4))) static int complain(struct complaint *to, int err,
							  const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (to->text && to->len)
		vsnprintf(to->text, to->len, fmt, args);
	va_end(args);
	return err;
}

static int complain_errno(struct complaint *to, const char *path, int err)
{
	int code = err == ENOENT || err == EACCES || err == ENOMEM ? -err : -EINVAL;

	return complain(to, code, "%s: %s", path, strerror(err));
}

static int no_memory(struct complaint *to)
{
	return complain(to, -ENOMEM, "out of memory");
}

/* Read until EOF or `len` bytes. Bytes read or -errno. */
static ssize_t read_all(int fd, char *buf, size_t len)
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

/*
 * A whole file in memory (not stdio: its buffer would keep the key after fclose). Caller owns *out,
 * PEM_FILE_MAX bytes, and gives it back with OPENSSL_clear_free.
 */
static int read_pem_file(const char *path, char **out, size_t *out_len, struct complaint *to)
{
	char *buf;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return complain_errno(to, path, errno);
	buf = OPENSSL_malloc(PEM_FILE_MAX);
	if (!buf) {
		close(fd);
		return no_memory(to);
	}
	n = read_all(fd, buf, PEM_FILE_MAX);
	close(fd);
	if (n < 0 || n == PEM_FILE_MAX) {
		OPENSSL_clear_free(buf, PEM_FILE_MAX);
		return n < 0 ? complain_errno(to, path, (int)-n)
			     : complain(to, -EINVAL, "%s: larger than a PEM file can sensibly be",
					path);
	}
	*out = buf;
	*out_len = (size_t)n;
	return 0;
}

/* Why the last PEM call found nothing: no block left (true) or a broken one (false). */
static bool pem_at_end(void)
{
	unsigned long err = ERR_peek_last_error();

	return ERR_GET_LIB(err) == ERR_LIB_PEM && ERR_GET_REASON(err) == PEM_R_NO_START_LINE;
}

/* The first certificate is the CA's, those after it its chain. */
static int parse_certs(void *out, const char *path, BIO *bio, struct complaint *to)
{
	struct ca *ca = out;
	X509 *cert;
	int n = 0;

	ca->chain = sk_X509_new_null();
	if (!ca->chain)
		return no_memory(to);
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		n++;
		if (!ca->cert) {
			ca->cert = cert;
		} else if (!sk_X509_push(ca->chain, cert)) {
			X509_free(cert);
			return no_memory(to);
		}
	}
	if (!pem_at_end())
		return complain(to, -EINVAL, "%s: certificate %d in it is damaged", path, n + 1);
	if (!n)
		return complain(
			to, -EINVAL,
			"%s: no certificate in it; expected PEM (-----BEGIN CERTIFICATE-----)",
			path);
	return 0;
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

/* Before anything is read from it. */
static bool names_a_key(BIO *bio)
{
	char *pem;
	long len = BIO_get_mem_data(bio, &pem);

	return len > 0 && memmem(pem, (size_t)len, "PRIVATE KEY-----", 16) != NULL;
}

static int parse_key(void *out, const char *path, BIO *bio, struct complaint *to)
{
	EVP_PKEY **key = out;
	bool any_key = names_a_key(bio);
	bool wanted = false;

	*key = PEM_read_bio_PrivateKey(bio, NULL, password_wanted, &wanted);
	if (*key)
		return 0;
	if (wanted)
		return complain(to, -EINVAL,
				"%s: the key is password-protected; remove the password with "
				"`openssl pkey -in %s -out ca-key.pem`",
				path, path);
	if (any_key)
		return complain(to, -EINVAL,
				"%s: the private key in it is damaged or of a kind "
				"that OpenSSL does not know",
				path);
	return complain(to, -EINVAL,
			"%s: no private key in it; expected PEM (-----BEGIN PRIVATE KEY-----)",
			path);
}

/* Have `parse` take what it looks for out of a PEM file. */
static int load_pem(void *out, const char *path,
		    int (*parse)(void *out, const char *path, BIO *bio, struct complaint *to),
		    struct complaint *to)
{
	char *pem = NULL;
	size_t len = 0;
	BIO *bio;
	int err = read_pem_file(path, &pem, &len, to);

	if (err)
		return err;
	bio = BIO_new_mem_buf(pem, (int)len);
	err = bio ? parse(out, path, bio, to) : no_memory(to);
	BIO_free(bio);
	OPENSSL_clear_free(pem, PEM_FILE_MAX);
	return err;
}

/* "2030-01-31 12:00:00 UTC"-like text of a certificate's time. Returns buf. */
static const char *time_print(const ASN1_TIME *time, char *buf, size_t len)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(time, &tm) || !strftime(buf, len, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(buf, len, "an unreadable time");
	return buf;
}

/* X509_cmp_current_time: 0 an unreadable time, below 0 not later than now, above 0 later. */
static int check_validity(X509 *cert, const char *path, const char *what, struct complaint *to)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert);
	const ASN1_TIME *until = X509_get0_notAfter(cert);
	char text[64];

	if (X509_cmp_current_time(from) >= 0)
		return complain(to, -EINVAL, "%s: %s is not valid before %s; check the clock", path,
				what, time_print(from, text, sizeof(text)));
	if (X509_cmp_current_time(until) <= 0)
		return complain(to, -EINVAL, "%s: %s expired at %s; make a new one", path, what,
				time_print(until, text, sizeof(text)));
	return 0;
}

/* May this certificate sign server certificates? RFC 5280 4.2.1.3, 4.2.1.9, 4.2.1.12. */
static int check_is_ca(X509 *cert, const char *path, const char *what, struct complaint *to)
{
	uint32_t flags = X509_get_extension_flags(cert);

	if (flags & EXFLAG_INVALID)
		return complain(to, -EINVAL, "%s: %s has malformed extensions", path, what);
	if (!(flags & EXFLAG_CA))
		return complain(
			to, -EINVAL,
			"%s: %s is not a CA; it needs the extension basicConstraints=CA:TRUE", path,
			what);
	if ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN))
		return complain(to, -EINVAL,
				"%s: %s may not sign certificates; its keyUsage lacks keyCertSign",
				path, what);
	if ((flags & EXFLAG_XKUSAGE) &&
	    !(X509_get_extended_key_usage(cert) & (XKU_SSL_SERVER | XKU_ANYEKU)))
		return complain(
			to, -EINVAL,
			"%s: %s is not for TLS servers; its extendedKeyUsage lacks serverAuth",
			path, what);
	return 0;
}

static int check_cert(X509 *cert, const char *path, const char *what, struct complaint *to)
{
	int err = check_validity(cert, path, what, to);

	return err ? err : check_is_ca(cert, path, what, to);
}

/* Did `issuer` sign `cert`? Names and key identifiers first, they make the better message. */
static bool issued(X509 *issuer, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	return key && X509_check_issued(issuer, cert) == X509_V_OK && X509_verify(cert, key) == 1;
}

static bool self_issued(X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

/*
 * Each certificate above must have issued the one before it, be a CA itself, and allow as many CAs
 * below it as there are; self-issued ones do not count (RFC 5280 4.2.1.9).
 */
static int check_chain(const struct ca *ca, const char *path, struct complaint *to)
{
	X509 *below = ca->cert;
	long cas_below = self_issued(below) ? 0 : 1;

	for (int i = 0; i < sk_X509_num(ca->chain); i++) {
		X509 *cert = sk_X509_value(ca->chain, i);
		long path_len = X509_get_pathlen(cert);
		char what[32];
		int err;

		snprintf(what, sizeof(what), "certificate %d", i + 2);
		err = check_cert(cert, path, what, to);
		if (err)
			return err;
		if (!issued(cert, below))
			return complain(
				to, -EINVAL,
				"%s: %s did not issue the one before it; put each CA before the "
				"one that issued it",
				path, what);
		if (path_len >= 0 && path_len < cas_below)
			return complain(
				to, -EINVAL,
				"%s: %s allows %ld CAs below it (pathlen) and there are %ld", path,
				what, path_len, cas_below);
		if (!self_issued(cert))
			cas_below++;
		below = cert;
	}
	return 0;
}

/* Clients have the root, or would not trust it anyway: do not send it to them (RFC 8446 4.4.2). */
static void drop_roots(STACK_OF(X509) * chain)
{
	for (int i = sk_X509_num(chain) - 1; i >= 0; i--) {
		if (X509_get_extension_flags(sk_X509_value(chain, i)) & EXFLAG_SS)
			X509_free(sk_X509_delete(chain, i));
	}
}

static int load_and_check(struct ca *ca, const char *cert_file, struct complaint *to)
{
	int err = load_pem(ca, cert_file, parse_certs, to);

	if (!err)
		err = check_cert(ca->cert, cert_file, "the CA certificate", to);
	if (!err)
		err = check_chain(ca, cert_file, to);
	if (!err)
		drop_roots(ca->chain);
	return err;
}

int ca_load(const char *cert_file, struct ca **out, char *error, size_t error_len)
{
	struct complaint to = {.text = error, .len = error_len};
	struct ca *ca = calloc(1, sizeof(*ca));
	int err;

	if (!ca)
		return no_memory(&to);
	ERR_set_mark();
	err = load_and_check(ca, cert_file, &to);
	ERR_pop_to_mark();
	if (err) {
		ca_free(ca);
		return err;
	}
	*out = ca;
	return 0;
}

int ca_load_key(const char *key_file, const char *cert_file, X509 *cert, EVP_PKEY **out,
		char *error, size_t error_len)
{
	struct complaint to = {.text = error, .len = error_len};
	EVP_PKEY *key = NULL;
	int err;

	ERR_set_mark();
	err = load_pem(&key, key_file, parse_key, &to);
	if (!err && X509_check_private_key(cert, key) != 1)
		err = complain(&to, -EINVAL,
			       "%s: this key does not belong to the certificate in %s", key_file,
			       cert_file);
	ERR_pop_to_mark();
	if (err) {
		EVP_PKEY_free(key);
		return err;
	}
	*out = key;
	return 0;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->cert);
	sk_X509_pop_free(ca->chain, X509_free);
	free(ca);
}
