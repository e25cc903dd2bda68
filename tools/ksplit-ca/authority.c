// SPDX-License-Identifier: GPL-2.0-or-later
#include "authority.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "say.h"

#define SERIAL_BITS     159 /* positive in 20 octets (RFC 5280 4.1.2.2) */
#define CLOCK_TOLERANCE 3600
#define DAY_SECONDS     86400

static bool set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	bool ok = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
		  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));

	BN_free(number);
	return ok;
}

static bool set_names(X509 *cert, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)name, -1, -1, 0) &&
	       X509_set_issuer_name(cert, subject);
}

static bool set_validity(X509 *cert, long days)
{
	return X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_TOLERANCE) &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY_SECONDS);
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	bool ok;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

static bool add_extensions(X509 *cert, NAME_CONSTRAINTS *constraints)
{
	return add_extension(cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_extension(cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(cert, NID_subject_key_identifier, "hash") &&
	       (!constraints ||
		X509_add1_ext_i2d(cert, NID_name_constraints, constraints, 1, 0) == 1);
}

int authority_make(const char *name, long days, NAME_CONSTRAINTS *constraints, X509 **cert,
		   EVP_PKEY **key)
{
	char reason[160];

	*key = EVP_EC_gen("P-256");
	*cert = X509_new();
	if (*key && *cert && X509_set_version(*cert, X509_VERSION_3) && set_serial(*cert) &&
	    set_names(*cert, name) && set_validity(*cert, days) && X509_set_pubkey(*cert, *key) &&
	    add_extensions(*cert, constraints) && X509_sign(*cert, *key, EVP_sha256()))
		return 0;
	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	X509_free(*cert);
	EVP_PKEY_free(*key);
	*cert = NULL;
	*key = NULL;
	return say_error(CA_FAILED, "OpenSSL could not make the CA: %s", reason);
}

int authority_read(const char *path, X509 **cert)
{
	char *pem = NULL;
	size_t len = 0;
	BIO *bio;
	int rc = file_read(path, &pem, &len);

	if (rc == -ENOENT)
		return say_error(CA_FAILED,
				 "%s: there is no CA; make one with `ksplit-ca init`, or name it "
				 "with --dir or --cert",
				 path);
	if (rc)
		return say_error(CA_FAILED, "%s: %s", path, strerror(-rc));
	bio = BIO_new_mem_buf(pem, (int)len);
	*cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	/* Certificate and key may be in one file. */
	OPENSSL_clear_free(pem, len);
	ERR_clear_error();
	if (*cert)
		return 0;
	return say_error(CA_FAILED,
			 "%s: no certificate in it; expected PEM (-----BEGIN CERTIFICATE-----)",
			 path);
}

/* There is nobody to ask. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

int authority_key_fits(X509 *cert, const char *key_path)
{
	char *pem = NULL;
	size_t len = 0;
	EVP_PKEY *key;
	BIO *bio;
	int rc = file_read(key_path, &pem, &len);

	if (rc)
		return rc;
	bio = BIO_new_mem_buf(pem, (int)len);
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	BIO_free(bio);
	OPENSSL_clear_free(pem, len);
	rc = key ? X509_check_private_key(cert, key) == 1 : -EINVAL;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

int authority_check(X509 *cert, const char *path)
{
	if (X509_check_ca(cert) != 1)
		return say_error(CA_FAILED,
				 "%s: not a CA (basicConstraints CA:TRUE, keyUsage keyCertSign): "
				 "stores would not take it for one",
				 path);
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0)
		return say_error(CA_FAILED, "%s: is not valid yet; check the clock", path);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		return say_error(CA_FAILED,
				 "%s: has expired; make a new one with `ksplit-ca init --force`",
				 path);
	return 0;
}

static void digest(X509 *cert, unsigned char out[static EVP_MAX_MD_SIZE])
{
	unsigned int len = 0;

	memset(out, 0, EVP_MAX_MD_SIZE);
	X509_digest(cert, EVP_sha256(), out, &len);
}

void authority_label(X509 *cert, char label[static AUTHORITY_LABEL])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	size_t i;

	digest(cert, bytes);
	memcpy(label, "ksplit-", 8);
	for (i = 0; i < 8; i++)
		snprintf(label + 7 + 2 * i, 3, "%02x", bytes[i]);
}

void authority_fingerprint(X509 *cert, char text[static AUTHORITY_FINGERPRINT_TEXT])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	size_t i;

	digest(cert, bytes);
	for (i = 0; i < 32; i++)
		snprintf(text + 3 * i, 4, i < 31 ? "%02X:" : "%02X", bytes[i]);
}

char *authority_pem(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes, *pem = NULL;
	long len;

	if (bio && PEM_write_bio_X509(bio, cert)) {
		len = BIO_get_mem_data(bio, &bytes);
		pem = strndup(bytes, (size_t)len);
	}
	BIO_free(bio);
	return pem;
}
