// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/ca.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "pki/pem_file.h"

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

static int no_memory(struct complaint *to)
{
	return complain(to, -ENOMEM, "out of memory");
}

/* The first certificate is the CA's, those after it its chain. */
static int load_certs(struct ca *ca, const char *path, struct complaint *to)
{
	int err = pem_file_certs(path, &ca->chain, to->text, to->len);

	if (!err)
		ca->cert = sk_X509_shift(ca->chain);
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
	int err = load_certs(ca, cert_file, to);

	if (!err)
		err = check_cert(ca->cert, cert_file, "the CA certificate", to);
	if (!err)
		err = check_chain(ca, cert_file, to);
	if (err)
		return err;
	err = name_constraints_read(ca->cert, ca->chain, &ca->constraints);
	if (err)
		return err == -ENOMEM ? no_memory(to)
				      : complain(to, err, "%s: name constraints cannot be read",
						 cert_file);
	drop_roots(ca->chain);
	return 0;
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
	err = pem_file_key(key_file, &key, error, error_len);
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
	name_constraints_free(ca->constraints);
	X509_free(ca->cert);
	sk_X509_pop_free(ca->chain, X509_free);
	free(ca);
}
