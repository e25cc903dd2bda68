// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_rule.h"
#include "core/config_setting.h"
#include "core/config_tls.h"
#include "core/upstream.h"

static int read_verify(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const struct config_setting *setting = config_setting_find_key("upstream.verify");
	struct upstream_rule *rule = out;
	char expected[128];
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	for (unsigned int i = 0; setting->choices[i]; i++)
		if (!strcmp(setting->choices[i], text)) {
			rule->verify = (enum config_verify)i;
			rule->has_verify = true;
			return 0;
		}
	return config_reader_fail(reader, "\"%s\": is \"%.80s\", expected %s", key, text,
				  config_setting_expected(setting, expected, sizeof(expected)));
}

static int read_identity(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	static const struct config_field files[] = {
		{.name = "cert",
		 .read = config_reader_string,
		 .offset = offsetof(struct upstream_rule, identity_cert)},
		{.name = "key",
		 .read = config_reader_string,
		 .offset = offsetof(struct upstream_rule, identity_key)},
		{.name = NULL},
	};
	struct upstream_rule *rule = out;
	int rc = config_reader_object(reader, value, key, files, rule);

	if (rc || (rule->identity_cert && rule->identity_key))
		return rc;
	return config_reader_fail(reader, "\"%s\": needs \"cert\" and \"key\", PEM files", key);
}

static int read_pin(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct upstream_rule *rule = out;
	struct tls_pin pin;
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (!upstream_pin_parse(text, &pin))
		return config_reader_fail(reader,
					  "\"%s\": is \"%.80s\", expected \"sha256/\" and the "
					  "Base64 of a public key's SHA-256, 44 characters",
					  key, text);
	return config_rule_append(reader, key, (void **)&rule->pins, &rule->pins_len, &pin,
				  sizeof(pin));
}

static int read_pins(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	return config_rule_read_some(reader, value, key, read_pin, out);
}

#define MATCH(name_, reader_)                                                                      \
	{                                                                                          \
		.name = #name_, .read = config_rule_##reader_,                                     \
		.offset = offsetof(struct upstream_rule, match)                                    \
	}

static const struct config_field fields[] = {
	MATCH(sni, read_sni),
	MATCH(networks, read_networks),
	MATCH(ports, read_ports),
	MATCH(comment, read_comment),
	{.name = "verify", .read = read_verify},
	{.name = "ca", .read = config_reader_string, .offset = offsetof(struct upstream_rule, ca)},
	{.name = "identity", .read = read_identity},
	{.name = "pins", .read = read_pins},
	{.name = "tls",
	 .read = config_tls_read_policy,
	 .offset = offsetof(struct upstream_rule, tls)},
	{.name = NULL},
};

static int read_rule(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct upstream_rules *upstream = out;
	struct upstream_rule empty = {0}, *rule;
	/* Counted from the start, so that what a refused one holds is freed with the config. */
	int rc = config_rule_append(reader, key, (void **)&upstream->rules, &upstream->len, &empty,
				    sizeof(empty));

	if (rc)
		return rc;
	rule = &upstream->rules[upstream->len - 1];
	rc = config_reader_object(reader, value, key, fields, rule);
	if (rc)
		return rc;
	if (!rule->match.sni_len && !rule->match.networks_len && !rule->match.ports_len)
		return config_reader_fail(reader,
					  "\"%s\": says nothing about which origins; expected "
					  "\"sni\", \"networks\" or \"ports\"",
					  key);
	return 0;
}

int config_upstream_read_rules(struct config_reader *reader, const cJSON *value, const char *key,
			       void *out)
{
	struct upstream_rules *upstream = &reader->config->upstream;

	(void)out;
	if (!cJSON_IsArray(value))
		return config_reader_fail(reader,
					  "\"%s\": is %s, expected a list of rules: [{ ... }]", key,
					  config_reader_type_name(value));
	upstream_rules_free(upstream);
	return config_reader_list(reader, value, key, UPSTREAM_MAX_RULES, read_rule, upstream);
}
