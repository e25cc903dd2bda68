// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/service.h"

static int make_tls(struct generation *generation, char *error, size_t error_len)
{
	const struct config *config = generation->config;
	const struct ca *ca = generation->issuer->ca;
	const struct tls_context_options options = {
		.upstream_ca = config->upstream_ca,
		.verify_upstream = config->verify != VERIFY_OFF,
		.leaf_key = generation->issuer->leaf_key,
		.ca_cert = ca ? ca->cert : NULL,
		.ca_chain = ca ? ca->chain : NULL,
	};

	return tls_context_new(&options, &generation->tls, error, error_len);
}

int generation_new(struct config *config, struct issuer *issuer, const struct generation *before,
		   struct generation **out, char *error, size_t error_len)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	int err;

	if (!generation) {
		snprintf(error, error_len, "out of memory");
		config_delete(config);
		return -ENOMEM;
	}
	atomic_init(&generation->references, 1);
	generation->number = before ? before->number + 1 : 1;
	generation->config = config;
	generation->listeners_len = config->listeners_len;
	memcpy(generation->listeners, config->listeners, sizeof(generation->listeners));
	generation->issuer = issuer_get(issuer);
	err = make_tls(generation, error, error_len);
	if (!err)
		err = service_load(config, before ? before->identities : NULL,
				   &generation->identities, error, error_len);
	if (err)
		generation_put(generation);
	else
		*out = generation;
	return err;
}

struct generation *generation_get(struct generation *generation)
{
	atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
	return generation;
}

void generation_put(struct generation *generation)
{
	if (!generation ||
	    atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) != 1)
		return;
	tls_context_free(generation->tls);
	identity_store_free(generation->identities);
	issuer_put(generation->issuer);
	config_delete(generation->config);
	free(generation);
}

bool generation_is_unused(const struct generation *generation)
{
	/* acquire: what the others did with it has happened */
	return atomic_load_explicit(&generation->references, memory_order_acquire) == 1;
}
