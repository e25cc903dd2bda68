// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status_certs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/server.h"
#include "pki/cert_facts.h"

_Static_assert(sizeof(((struct control_cert *)0)->name) == sizeof(((struct cert_facts *)0)->name) &&
		       sizeof(((struct control_cert *)0)->key) ==
			       sizeof(((struct cert_facts *)0)->key) &&
		       sizeof(((struct control_cert *)0)->fingerprint) == FINGERPRINT_LEN,
	       "copied whole");

static void add(struct control_certs *out, const char *kind, const char *state, X509 *cert,
		const uint8_t fingerprint[FINGERPRINT_LEN])
{
	struct control_cert *row = &out->certs[out->len++];
	struct cert_facts facts;

	cert_facts_read(cert, &facts);
	row->kind = kind;
	row->state = state;
	memcpy(row->name, facts.name, sizeof(row->name));
	row->names = facts.names;
	memcpy(row->key, facts.key, sizeof(row->key));
	row->from_ms = facts.from_s * 1000;
	row->until_ms = facts.until_s * 1000;
	memcpy(row->fingerprint, fingerprint, sizeof(row->fingerprint));
}

static void add_ca(struct control_certs *out, const struct ca *ca)
{
	uint8_t fingerprint[FINGERPRINT_LEN];

	if (ca && !fingerprint_of(ca->cert, fingerprint))
		add(out, "ca", "trusted", ca->cert, fingerprint);
}

static const char *state_of(const struct leaf *leaf)
{
	if (leaf->untrusted)
		return "untrusted";
	if (leaf->staple)
		return "revoked";
	return leaf->outside ? "outside_ca" : "trusted";
}

static void add_identities(struct control_certs *out, const struct identity_set *set, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const struct identity *identity = identity_set_at(set, i);

		add(out, "identity", "trusted", identity->cert, identity->fingerprint);
	}
}

static void add_leaves(struct control_certs *out, struct leaf **leaves, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		add(out, "leaf", state_of(leaves[i]), leaves[i]->cert, leaves[i]->fingerprint);
		leaf_put(leaves[i]);
	}
}

/* With forged leaves, this many at most. */
static int read_certs(struct server *server, size_t most, struct control_certs *out)
{
	struct generation *generation = server_generation(server);
	struct issuer *issuer = generation->issuer;
	struct identity_set *set =
		generation->identities ? identity_store_get(generation->identities) : NULL;
	size_t identities = set ? identity_set_len(set) : 0, leaves_len = 0;
	struct leaf **leaves = calloc(most + 1, sizeof(struct leaf *));

	if (most && leaves && issuer->leaves)
		leaves_len = leaf_cache_read(issuer->leaves, leaves, most);
	*out = (struct control_certs){
		.certs = calloc(1 + identities + leaves_len, sizeof(*out->certs))};
	if (out->certs) {
		add_ca(out, issuer->ca);
		add_identities(out, set, identities);
		add_leaves(out, leaves, leaves_len);
	} else {
		while (leaves_len)
			leaf_put(leaves[--leaves_len]);
	}
	free(leaves);
	identity_set_put(set);
	generation_put(generation);
	if (out->certs && leaves)
		return 0;
	control_certs_free(out);
	return -ENOMEM;
}

int status_read_certs(void *ctx, struct control_certs *out)
{
	return read_certs(ctx, CONTROL_CERTS_MAX, out);
}

int status_read_own_certs(void *ctx, struct control_certs *out)
{
	return read_certs(ctx, 0, out);
}
