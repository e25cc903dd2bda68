// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authority.h"
#include "command.h"
#include "file.h"
#include "say.h"

/* RFC 2315 9.1, RFC 8551 3.2.1: certificates without content and signers. */
static int put_p7c(BIO *bio, X509 *cert)
{
	PKCS7 *p7 = PKCS7_new();
	int ok = p7 && PKCS7_set_type(p7, NID_pkcs7_signed) &&
		 PKCS7_content_new(p7, NID_pkcs7_data) && PKCS7_set_detached(p7, 1) &&
		 PKCS7_add_certificate(p7, cert) && i2d_PKCS7_bio(bio, p7);

	PKCS7_free(p7);
	return ok;
}

static int put(BIO *bio, const char *format, X509 *cert)
{
	if (strcmp(format, "der") == 0)
		return i2d_X509_bio(bio, cert);
	if (strcmp(format, "p7c") == 0)
		return put_p7c(bio, cert);
	return PEM_write_bio_X509(bio, cert);
}

static int write_out(const struct options *options, const char *bytes, size_t len)
{
	const struct file_access access = {0644, (uid_t)-1, (gid_t)-1};
	int rc;

	if (!options->out) {
		if (fwrite(bytes, 1, len, stdout) == len)
			return 0;
		return say_error(CA_FAILED, "standard output: %s", strerror(errno));
	}
	rc = file_write(options->out, bytes, len, &access, options->force);
	if (rc == -EEXIST)
		return say_error(CA_FAILED, "%s: is there already; --force replaces it",
				 options->out);
	if (rc)
		return say_error(CA_FAILED, "%s: cannot be written: %s", options->out,
				 strerror(-rc));
	return 0;
}

int command_export(const struct options *options)
{
	const char *format = options->format ? options->format : "pem";
	X509 *cert = NULL;
	BIO *bio;
	char *bytes;
	int rc;

	if (!options->out && strcmp(format, "pem") != 0 && isatty(STDOUT_FILENO))
		return say_error(CA_USAGE,
				 "--format: %s is binary and this is a terminal; use "
				 "--out, or redirect it",
				 format);
	rc = authority_read(options->cert, &cert);
	if (rc)
		return rc;
	bio = BIO_new(BIO_s_mem());
	if (bio && put(bio, format, cert)) {
		long len = BIO_get_mem_data(bio, &bytes);

		rc = write_out(options, bytes, (size_t)len);
	} else {
		rc = say_error(CA_FAILED, "out of memory");
	}
	BIO_free(bio);
	X509_free(cert);
	return rc;
}
