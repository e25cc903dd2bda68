/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_IDENTITY_RIG_H
#define KSPLIT_TESTS_IDENTITY_RIG_H

/*
 * Identities as files in a folder of their own, under a CA. Include after cmocka.h and
 * cert_maker.h.
 */

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

#include "pki/identity_set.h"

#define RIG_FILES 16

struct identity_rig {
	char folder[32];
	char paths[RIG_FILES][96];
	size_t paths_len;
	EVP_PKEY *ca_key;
	X509 *ca;
};

static inline void rig_open(struct identity_rig *rig)
{
	static const struct cert_ext exts[] = {{NID_basic_constraints, "critical,CA:TRUE"},
					       {NID_subject_key_identifier, "hash"},
					       {0, NULL}};

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->folder, "/tmp/ksplit-test-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	rig->ca_key = make_test_key("P-256");
	rig->ca = make_test_cert(
		&(struct cert_spec){.cn = "rig CA", .key = rig->ca_key, .exts = exts});
}

static inline void rig_close(struct identity_rig *rig)
{
	for (size_t i = 0; i < rig->paths_len; i++)
		unlink(rig->paths[i]);
	assert_int_equal(rmdir(rig->folder), 0);
	X509_free(rig->ca);
	EVP_PKEY_free(rig->ca_key);
}

/* A file's path; the file itself is removed at the end. */
static inline char *rig_path(struct identity_rig *rig, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
	for (size_t i = 0; i < rig->paths_len; i++)
		if (!strcmp(rig->paths[i], path))
			return rig->paths[i];
	assert_true(rig->paths_len < RIG_FILES);
	return strcpy(rig->paths[rig->paths_len++], path);
}

static inline void rig_write(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* "NAME.pem" with certificate, CA and key: all in one file. `san` NULL: none. */
static inline X509 *rig_issue(struct identity_rig *rig, const char *name, const char *kind,
			      const char *san, long until)
{
	struct cert_ext exts[] = {{san ? NID_subject_alt_name : 0, san}, {0, NULL}};
	EVP_PKEY *key = make_test_key(kind);
	X509 *cert = make_test_cert(&(struct cert_spec){.cn = name,
							.key = key,
							.issuer = rig->ca,
							.issuer_key = rig->ca_key,
							.from = -2 * DAY,
							.until = until,
							.exts = exts});
	char file[48];
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	PEM_write_bio_X509(bio, cert);
	PEM_write_bio_X509(bio, rig->ca);
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &text);
	snprintf(file, sizeof(file), "%s.pem", name);
	rig_write(rig_path(rig, file), text, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return cert;
}

/* What a staple says; `next` 0: no nextUpdate. Seconds from now. */
struct rig_staple {
	int status;
	long from, next;
	EVP_PKEY *key; /* NULL: the CA's */
};

static inline char *rig_respond(struct identity_rig *rig, X509 *cert, const struct rig_staple *say)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, rig->ca);
	ASN1_TIME *from = X509_gmtime_adj(NULL, say->from);
	ASN1_TIME *next = say->next ? X509_gmtime_adj(NULL, say->next) : NULL;
	ASN1_TIME *revoked = say->status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
	char *path = rig_path(rig, "response.der");
	OCSP_RESPONSE *response;
	uint8_t *der = NULL;
	int len;

	assert_non_null(OCSP_basic_add1_status(basic, id, say->status, OCSP_REVOKED_STATUS_NOSTATUS,
					       revoked, from, next));
	if (say->key) /* by somebody else in the CA's name */
		assert_int_equal(X509_set_pubkey(rig->ca, say->key), 1);
	assert_int_equal(OCSP_basic_sign(basic, rig->ca, say->key ? say->key : rig->ca_key,
					 EVP_sha256(), NULL, OCSP_NOCERTS),
			 1);
	if (say->key)
		assert_int_equal(X509_set_pubkey(rig->ca, rig->ca_key), 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(response, &der);
	assert_true(len > 0);
	rig_write(path, der, (size_t)len);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(next);
	return path;
}

#endif
