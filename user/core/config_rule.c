// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy.h"

#define PORT_MAX    65535U
#define COMMENT_MAX 200

int config_rule_no_memory(struct config_reader *reader, const char *key)
{
	config_reader_fail(reader, "\"%s\": out of memory", key);
	return -ENOMEM;
}

int config_rule_append(struct config_reader *reader, const char *key, void **list, size_t *len,
		       const void *element, size_t size)
{
	char *grown = reallocarray(*list, *len + 1, size);

	if (!grown)
		return config_rule_no_memory(reader, key);
	memcpy(grown + *len * size, element, size);
	*list = grown;
	(*len)++;
	return 0;
}

int config_rule_read_some(struct config_reader *reader, const cJSON *value, const char *key,
			  config_reader_fn *read, void *rule)
{
	if (!cJSON_IsArray(value))
		return read(reader, value, key, rule);
	if (!value->child)
		return config_reader_fail(
			reader, "\"%s\": is empty and would match nothing; expected an entry", key);
	return config_reader_list(reader, value, key, POLICY_MAX_ENTRIES, read, rule);
}

/* Say what is expected of a text instead. */
static int refuse(struct config_reader *reader, const char *key, const char *text,
		  const char *expected)
{
	return config_reader_fail(reader, "\"%s\": is \"%.256s\", expected %s", key, text,
				  expected);
}

static int add_text(struct config_reader *reader, const char *key, const char *text, char ***list,
		    size_t *len)
{
	char *copy = strdup(text);
	int rc = copy ? config_rule_append(reader, key, (void **)list, len, &copy, sizeof(copy))
		      : config_rule_no_memory(reader, key);

	if (rc)
		free(copy);
	return rc;
}

static int read_name(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct policy_rule *rule = out;
	char name[POLICY_NAME_MAX + 1];
	const char *text, *expected;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	expected = policy_sni_parse(text, name);
	if (expected)
		return refuse(reader, key, text, expected);
	return add_text(reader, key, name, &rule->sni, &rule->sni_len);
}

static int read_protocol(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	struct policy_rule *rule = out;
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (strlen(text) > 255)
		return refuse(reader, key, text, "a name of at most 255 bytes, such as \"h2\"");
	return add_text(reader, key, text, &rule->alpn, &rule->alpn_len);
}

static int read_network(struct config_reader *reader, const cJSON *value, const char *key,
			void *out)
{
	struct policy_rule *rule = out;
	struct policy_network network;
	const char *text, *expected;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	expected = policy_network_parse(text, &network);
	if (expected)
		return refuse(reader, key, text, expected);
	return config_rule_append(reader, key, (void **)&rule->networks, &rule->networks_len,
				  &network, sizeof(network));
}

/* "8000-8100" */
static bool parse_ports(const char *text, struct policy_ports *out)
{
	unsigned int first, last;
	char rest;

	if (strspn(text, "0123456789-") != strlen(text) || strlen(text) > 11 ||
	    sscanf(text, "%5u-%5u%c", &first, &last, &rest) != 2)
		return false;
	*out = (struct policy_ports){(uint16_t)first, (uint16_t)last};
	return first >= 1 && last <= PORT_MAX && first <= last;
}

static int read_port(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct policy_rule *rule = out;
	struct policy_ports ports;
	uint32_t port;
	int rc;

	if (cJSON_IsString(value)) {
		if (!parse_ports(value->valuestring, &ports))
			return refuse(reader, key, value->valuestring,
				      "a port as a number, or two as in \"8000-8100\"");
	} else {
		rc = config_reader_number(reader, value, key, 1, PORT_MAX, &port);
		if (rc)
			return rc;
		ports = (struct policy_ports){(uint16_t)port, (uint16_t)port};
	}
	return config_rule_append(reader, key, (void **)&rule->ports, &rule->ports_len, &ports,
				  sizeof(ports));
}

static int read_process(struct config_reader *reader, const cJSON *value, const char *key,
			void *out)
{
	struct policy_rule *rule = out;
	struct policy_process process;
	const char *text, *expected;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	expected = policy_process_parse(text, &process);
	if (expected)
		return refuse(reader, key, text, expected);
	rc = config_rule_append(reader, key, (void **)&rule->processes, &rule->processes_len,
				&process, sizeof(process));
	if (rc)
		free(process.glob);
	return rc;
}

int config_rule_read_sni(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	return config_rule_read_some(reader, value, key, read_name, out);
}

int config_rule_read_networks(struct config_reader *reader, const cJSON *value, const char *key,
			      void *out)
{
	return config_rule_read_some(reader, value, key, read_network, out);
}

int config_rule_read_ports(struct config_reader *reader, const cJSON *value, const char *key,
			   void *out)
{
	return config_rule_read_some(reader, value, key, read_port, out);
}

int config_rule_read_alpn(struct config_reader *reader, const cJSON *value, const char *key,
			  void *out)
{
	return config_rule_read_some(reader, value, key, read_protocol, out);
}

int config_rule_read_process(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	return config_rule_read_some(reader, value, key, read_process, out);
}

int config_rule_read_comment(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	struct policy_rule *rule = out;
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (strlen(text) > COMMENT_MAX)
		return config_reader_fail(reader, "\"%s\": is %zu bytes long, expected at most %d",
					  key, strlen(text), COMMENT_MAX);
	rule->comment = strdup(text);
	return rule->comment ? 0 : config_rule_no_memory(reader, key);
}
