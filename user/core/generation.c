// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/service.h"
#include "core/sessions.h"

/* A client's ticket is as good after a reload as before it. */
static int make_keys(struct generation *generation, const struct generation *before, char *error,
		     size_t error_len)
{
	snprintf(error, error_len, "cannot make keys for session tickets");
	if (!before)
		return sessions_make_keys(generation->config, &generation->ticket_keys);
	generation->ticket_keys = ticket_keys_get(before->ticket_keys);
	return 0;
}

static enum tls_verify verify_of(enum config_verify verify)
{
	switch (verify) {
	case VERIFY_REQUIRE: return TLS_VERIFY_REQUIRE;
	case VERIFY_OFF: return TLS_VERIFY_OFF;
	case VERIFY_MIMIC: break;
	}
	return TLS_VERIFY_MIMIC;
}

static int make_tls(struct generation *generation, char *error, size_t error_len)
{
	const struct config *config = generation->config;
	const struct ca *ca = generation->issuer->ca;
	const size_t len = upstream_profiles(config);
	struct upstream_profile profiles[UPSTREAM_MAX_RULES + 1];
	struct tls_upstream_options upstream[UPSTREAM_MAX_RULES + 1];
	struct tls_context_options options = {
		.upstream = upstream,
		.upstream_len = len,
		.client_policy = &config->tls_client,
		.ca_cert = ca ? ca->cert : NULL,
		.ca_chain = ca ? ca->chain : NULL,
	};

	for (size_t i = 0; i < len; i++) {
		profiles[i] = upstream_profile_of(config, i);
		upstream[i] = (struct tls_upstream_options){
			.name = profiles[i].name,
			.ca = profiles[i].ca,
			.verify = verify_of(profiles[i].verify),
			.pins = profiles[i].pins,
			.pins_len = profiles[i].pins_len,
			.policy = &profiles[i].tls,
		};
		if (i > 0) {
			upstream[i].cert = generation->client_identities[i - 1].cert;
			upstream[i].key = generation->client_identities[i - 1].key;
			upstream[i].chain = generation->client_identities[i - 1].chain;
		}
	}
	sessions_read_config(config, generation->ticket_keys, &options.resumption);
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
	err = make_keys(generation, before, error, error_len);
	if (!err)
		err = client_identities_load(config, before ? before->config : NULL,
					     before ? before->client_identities : NULL,
					     &generation->client_identities, error, error_len);
	if (!err)
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
	client_identities_free(generation->client_identities, generation->config->upstream.len);
	ticket_keys_put(generation->ticket_keys);
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
