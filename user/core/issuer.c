// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/issuer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pki/forge.h"

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
	err = ca_load(config->ca_cert, &issuer->ca, error, error_len);
	if (!err) {
		snprintf(error, error_len, "cannot make a leaf key");
		err = forge_make_key(config->leaf_key_type, &issuer->leaf_key);
	}
	if (err) {
		issuer_put(issuer);
		*out = NULL;
	}
	return err;
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
	if (err)
		return err;
	snprintf(error, error_len, "out of memory");
	return leaf_cache_new(issuer->ca, issuer->signer, issuer->leaf_key, config->leaf_cache,
			      &issuer->leaves);
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
	if (!issuer ||
	    atomic_fetch_sub_explicit(&issuer->references, 1, memory_order_acq_rel) != 1)
		return;
	issuer_stop(issuer);
	leaf_cache_free(issuer->leaves);
	EVP_PKEY_free(issuer->leaf_key);
	ca_free(issuer->ca);
	free(issuer);
}
