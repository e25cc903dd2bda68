// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/client_identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/same_file.h"
#include "pki/identity.h"

/* References of all that it has. False: out of memory, or there is nothing. */
static bool share(const struct client_identity *from, struct client_identity *to)
{
	to->chain = X509_chain_up_ref(from->chain);
	if (!to->chain)
		return false;
	X509_up_ref(from->cert);
	EVP_PKEY_up_ref(from->key);
	to->cert = from->cert;
	to->key = from->key;
	return true;
}

static bool take_from_before(const struct upstream_rule *rule, const struct config *config_before,
			     const struct client_identity *before, struct client_identity *out)
{
	for (size_t i = 0; before && i < config_before->upstream.len; i++) {
		const struct upstream_rule *old = &config_before->upstream.rules[i];

		if (before[i].cert && !strcmp(old->identity_cert, rule->identity_cert) &&
		    !strcmp(old->identity_key, rule->identity_key) &&
		    same_file_stat(&before[i].cert_file, &out->cert_file) &&
		    same_file_stat(&before[i].key_file, &out->key_file))
			return share(&before[i], out);
	}
	return false;
}

static int read_files(const struct upstream_rule *rule, struct client_identity *out, char *error,
		      size_t error_len)
{
	/* Nobody asks it for a name. */
	const struct identity_source source = {
		.cert = rule->identity_cert, .key = rule->identity_key, .is_default = true};
	struct identity *identity;
	int err = identity_load(&source, &identity, error, error_len);

	if (err)
		return err;
	*out = (struct client_identity){.cert = identity->cert,
					.key = identity->key,
					.chain = identity->chain,
					.cert_file = out->cert_file,
					.key_file = out->key_file};
	identity->cert = NULL;
	identity->key = NULL;
	identity->chain = NULL;
	identity_free(identity);
	return 0;
}

static int load(const struct upstream_rule *rule, const struct config *config_before,
		const struct client_identity *before, struct client_identity *out, char *error,
		size_t error_len)
{
	if (!rule->identity_cert)
		return 0;
	if (stat(rule->identity_cert, &out->cert_file))
		out->cert_file.st_ino = 0;
	if (stat(rule->identity_key, &out->key_file))
		out->key_file.st_ino = 0;
	if (take_from_before(rule, config_before, before, out))
		return 0;
	return read_files(rule, out, error, error_len);
}

int client_identities_load(const struct config *config, const struct config *config_before,
			   const struct client_identity *before, struct client_identity **out,
			   char *error, size_t error_len)
{
	const size_t len = config->upstream.len;
	struct client_identity *identities = calloc(len ? len : 1, sizeof(*identities));
	int err = 0;

	if (!identities) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; !err && i < len; i++)
		err = load(&config->upstream.rules[i], config_before, before, &identities[i], error,
			   error_len);
	if (err)
		client_identities_free(identities, len);
	else
		*out = identities;
	return err;
}

void client_identities_free(struct client_identity *identities, size_t len)
{
	for (size_t i = 0; identities && i < len; i++) {
		X509_free(identities[i].cert);
		EVP_PKEY_free(identities[i].key);
		sk_X509_pop_free(identities[i].chain, X509_free);
	}
	free(identities);
}
