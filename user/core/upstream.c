// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/upstream.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"

#define PIN_PREFIX "sha256/"
#define PIN_BASE64 44 /* of 32 bytes, with one '=' (RFC 4648 4) */

size_t upstream_profiles(const struct config *config)
{
	return config->upstream.len + 1;
}

struct upstream_profile upstream_profile_of(const struct config *config, size_t index)
{
	struct upstream_profile profile = {
		.name = "upstream",
		.ca = config->upstream_ca,
		.verify = config->verify,
		.tls = config->tls_upstream,
	};
	const struct upstream_rule *rule;

	if (index == 0)
		return profile;
	rule = &config->upstream.rules[index - 1];
	snprintf(profile.name, sizeof(profile.name), "upstream.rules[%u]", (unsigned int)index - 1);
	if (rule->ca)
		profile.ca = rule->ca;
	if (rule->has_verify)
		profile.verify = rule->verify;
	profile.pins = rule->pins;
	profile.pins_len = rule->pins_len;
	profile.tls = tls_policy_merge(&rule->tls, &config->tls_upstream);
	return profile;
}

size_t upstream_choose(const struct upstream_rules *rules, const struct policy_call *call)
{
	for (size_t i = 0; i < rules->len; i++)
		if (policy_rule_matches(&rules->rules[i].match, call))
			return i + 1;
	return 0;
}

bool upstream_pin_parse(const char *text, struct tls_pin *out)
{
	const size_t prefix = strlen(PIN_PREFIX);
	uint8_t bytes[PIN_BASE64 / 4 * 3];

	if (strncmp(text, PIN_PREFIX, prefix))
		return false;
	text += prefix;
	/* curl(1) has two slashes, and Base64 has a slash as well: the length tells. */
	if (*text == '/' && strlen(text) == PIN_BASE64 + 1)
		text++;
	/* EVP_DecodeBlock takes '=' for 'A', wherever it is. */
	if (strlen(text) != PIN_BASE64 || strcspn(text, "=") != PIN_BASE64 - 1)
		return false;
	if (EVP_DecodeBlock(bytes, (const uint8_t *)text, PIN_BASE64) != sizeof(bytes) ||
	    bytes[sizeof(out->sha256)]) /* RFC 4648 3.5 */
		return false;
	memcpy(out->sha256, bytes, sizeof(out->sha256));
	return true;
}

void upstream_rules_free(struct upstream_rules *rules)
{
	for (size_t i = 0; i < rules->len; i++) {
		policy_rule_free(&rules->rules[i].match);
		free(rules->rules[i].ca);
		free(rules->rules[i].pins);
		free(rules->rules[i].identity_cert);
		free(rules->rules[i].identity_key);
		tls_policy_free(&rules->rules[i].tls);
	}
	free(rules->rules);
	memset(rules, 0, sizeof(*rules));
}
