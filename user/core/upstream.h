/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_UPSTREAM_H
#define KSPLIT_CORE_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/policy.h"
#include "tls/upstream_side.h"
#include "tls/side_policy.h"

/*
 * How origins are dealt with: section "upstream" (docs/upstream.md). The section itself is profile
 * 0, each rule the one behind it, with what it leaves out taken from profile 0. A connection has
 * one profile, the index of which its generation's contexts know, too (tls/context.h).
 */

#define UPSTREAM_MAX_RULES 256 /* each costs an SSL_CTX */

/* What becomes of a connection whose origin's certificate is not good. */
enum config_verify { VERIFY_MIMIC, VERIFY_REQUIRE, VERIFY_OFF };

/* One rule; of `match` sni, networks and ports are used. Everything it points to is its own. */
struct upstream_rule {
	struct policy_rule match;
	bool has_verify;
	enum config_verify verify;
	char *ca; /* PEM file; NULL: the section's */
	struct tls_pin *pins;
	size_t pins_len;
	/* PEM files: what is shown to origins that ask for a client certificate; NULL: none */
	char *identity_cert, *identity_key;
	struct tls_policy tls; /* what it leaves out is as tls.upstream says */
};

struct upstream_rules {
	struct upstream_rule *rules; /* owned */
	size_t len;
};

/* A profile as it works; points into the config. */
struct upstream_profile {
	char name[32];  /* of the part of the configuration: "upstream.rules[3]" */
	const char *ca; /* PEM file; NULL: the system's store */
	enum config_verify verify;
	const struct tls_pin *pins; /* NULL: none, any key will do */
	size_t pins_len;
	struct tls_policy tls; /* not to be freed */
};

struct config;

/* How many profiles there are: at least 1. */
size_t upstream_profiles(const struct config *config);

/* Profile `index`, below upstream_profiles(). */
struct upstream_profile upstream_profile_of(const struct config *config, size_t index);

/*
 * The profile for a call: that of the first rule that matches, or 0. Of the call `sni` and
 * `addresses` (the one that is connected to) are looked at.
 */
size_t upstream_choose(const struct upstream_rules *rules, const struct policy_call *call);

/*
 * "sha256/" (RFC 7469 2.4) or "sha256//" (curl(1), --pinnedpubkey) and the Base64 of a SHA-256.
 * False: that is none.
 */
bool upstream_pin_parse(const char *text, struct tls_pin *out);

/* Free the rules; the struct itself stays the caller's and is then empty. */
void upstream_rules_free(struct upstream_rules *rules);

#endif
