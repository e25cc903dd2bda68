// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_pass.h"

#include "core/config_rule.h"
#include "core/policy.h"

static const struct config_field fields[] = {
	{.name = "sni", .read = config_rule_read_sni},
	{.name = "networks", .read = config_rule_read_networks},
	{.name = "ports", .read = config_rule_read_ports},
	{.name = "alpn", .read = config_rule_read_alpn},
	{.name = "process", .read = config_rule_read_process},
	{.name = "comment", .read = config_rule_read_comment},
	{.name = NULL},
};

static int read_rule(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct policy *policy = out;
	struct policy_rule empty = {0}, *rule;
	int rc = config_rule_append(reader, key, (void **)&policy->rules, &policy->len, &empty,
				    sizeof(empty));

	if (rc)
		return rc;
	rule = &policy->rules[policy->len - 1];
	rc = config_reader_object(reader, value, key, fields, rule);
	if (rc)
		return rc;
	if (!rule->sni_len && !rule->networks_len && !rule->ports_len && !rule->alpn_len &&
	    !rule->processes_len)
		return config_reader_fail(
			reader,
			"\"%s\": says nothing about which connections; expected "
			"\"sni\", \"networks\", \"ports\", \"alpn\" or \"process\"",
			key);
	return 0;
}

int config_pass_read(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct config *config = reader->config;

	(void)out;
	if (!cJSON_IsArray(value))
		return config_reader_fail(reader,
					  "\"%s\": is %s, expected a list of rules: [{ ... }]", key,
					  config_reader_type_name(value));
	policy_free(&config->policy);
	return config_reader_list(reader, value, key, POLICY_MAX_RULES, read_rule, &config->policy);
}
