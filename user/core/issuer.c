// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/issuer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/same_file.h"

static void look_at_key(const char *path, struct stat *out)
{
	if (stat(path, out))
		memset(out, 0, sizeof(*out));
}

static int note_made(struct issuer_made *made, const struct config *config)
{
	made->leaf_key_type = strdup(config->leaf_key_type);
	made->key_file = strdup(config->ca_key);
	made->signer_user = strdup(config->signer_user);
	made->leaf_cache = config->leaf_cache;
	made->sign_rate = config->sign_rate;
	/* Before it is read: what changes meanwhile is another key. */
	look_at_key(config->ca_key, &made->key);
	return made->leaf_key_type && made->key_file && made->signer_user ? 0 : -ENOMEM;
}

int issuer_load(const struct config *config, struct issuer **out, char *error, size_t error_len)
{
	struct issuer *issuer = calloc(1, sizeof(*issuer));
	int err;

	snprintf(error, error_len, "out of memory");
	if (!issuer)
		return -ENOMEM;
	atomic_init(&issuer->references, 1);
	*out = issuer;
	if (!config->ca_cert)
		return 0;
	err = note_made(&issuer->made, config);
	if (!err)
		err = ca_load(config->ca_cert, &issuer->ca, error, error_len);
	if (!err) {
		snprintf(error, error_len, "cannot make a leaf key");
		err = leaf_keys_new(config->leaf_key_type, &issuer->leaf_keys);
	}
	if (!err) {
		snprintf(error, error_len, "cannot make the CA's untrusted twin");
		err = twin_new(issuer->ca, &issuer->twin);
	}
	if (err) {
		issuer_put(issuer);
		*out = NULL;
	}
	return err;
}

static int make_cache(struct issuer *issuer, const struct config *config, char *error,
		      size_t error_len)
{
	const struct leaf_cache_options options = {
		.ca = issuer->ca,
		.signer = issuer->signer,
		.keys = issuer->leaf_keys,
		.twin = issuer->twin,
		.max_entries = config->leaf_cache,
	};

	snprintf(error, error_len, "out of memory");
	return leaf_cache_new(&options, &issuer->leaves);
}

int issuer_start(struct issuer *issuer, const struct config *config, char *error, size_t error_len)
{
	const struct signer_options options = {
		.ca = issuer->ca,
		.cert_file = config->ca_cert,
		.key_file = config->ca_key,
		.user = config->signer_user,
		.rate = config->sign_rate,
		.dies_with_parent = config->foreground,
	};
	int err;

	if (!issuer->ca)
		return 0;
	err = signer_start(&options, &issuer->signer, error, error_len);
	return err ? err : make_cache(issuer, config, error, error_len);
}

int issuer_adopt(struct issuer *issuer, const struct config *config, int fd, pid_t pid, char *error,
		 size_t error_len)
{
	int err = signer_adopt(fd, pid, &issuer->signer, error, error_len);

	if (!err)
		err = make_cache(issuer, config, error, error_len);
	if (err)
		return err;
	snprintf(error, error_len, "cannot start a thread");
	return signer_listen(issuer->signer);
}

static bool same_certificates(const struct ca *a, const struct ca *b)
{
	bool same =
		X509_cmp(a->cert, b->cert) == 0 && sk_X509_num(a->chain) == sk_X509_num(b->chain);

	for (int i = 0; same && i < sk_X509_num(a->chain); i++)
		same = X509_cmp(sk_X509_value(a->chain, i), sk_X509_value(b->chain, i)) == 0;
	return same;
}

bool issuer_is_same(const struct issuer *issuer, const struct issuer *loaded,
		    const struct config *config)
{
	const struct issuer_made *made = &issuer->made;

	if (!issuer->ca || !loaded->ca)
		return !issuer->ca && !loaded->ca;
	/* One whose process has died is not to be kept. */
	return signer_pid(issuer->signer) && same_certificates(issuer->ca, loaded->ca) &&
	       same_file_stat(&made->key, &loaded->made.key) &&
	       !strcmp(made->key_file, config->ca_key) &&
	       !strcmp(made->leaf_key_type, config->leaf_key_type) &&
	       !strcmp(made->signer_user, config->signer_user) &&
	       made->leaf_cache == config->leaf_cache && made->sign_rate == config->sign_rate;
}

int issuer_check_key(const struct issuer *issuer, const struct config *config, char *error,
		     size_t error_len)
{
	EVP_PKEY *key = NULL;
	int err;

	if (!issuer->ca)
		return 0;
	err = ca_load_key(config->ca_key, config->ca_cert, issuer->ca->cert, &key, error,
			  error_len);
	EVP_PKEY_free(key);
	return err;
}

void issuer_stop(struct issuer *issuer)
{
	/* What waits for a key asks the signer next. */
	leaf_keys_free(issuer->leaf_keys);
	issuer->leaf_keys = NULL;
	signer_stop(issuer->signer);
	issuer->signer = NULL;
}

struct issuer *issuer_get(struct issuer *issuer)
{
	atomic_fetch_add_explicit(&issuer->references, 1, memory_order_relaxed);
	return issuer;
}

void issuer_put(struct issuer *issuer)
{
	if (!issuer || atomic_fetch_sub_explicit(&issuer->references, 1, memory_order_acq_rel) != 1)
		return;
	issuer_stop(issuer);
	leaf_cache_free(issuer->leaves);
	twin_free(issuer->twin);
	ca_free(issuer->ca);
	free(issuer->made.leaf_key_type);
	free(issuer->made.key_file);
	free(issuer->made.signer_user);
	free(issuer);
}
