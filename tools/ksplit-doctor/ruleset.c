// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *value = member(object, name);

	return cJSON_IsString(value) ? value->valuestring : "";
}

/* What is being put together while a rule's expressions are read. */
struct reading {
	const cJSON *root;
	struct ruleset_lead lead;
	bool other_protocol, any_port;
};

static void add_range(struct reading *reading, double first, double last)
{
	struct ruleset_lead *lead = &reading->lead;

	if (first < 0 || last > PORT_MAX || last < first || lead->ports_len == SETTINGS_PORTS) {
		reading->any_port = true;
		return;
	}
	lead->ports[lead->ports_len++] = (struct settings_ports){(uint16_t)first, (uint16_t)last};
}

/* A named set's elements, or NULL. */
static const cJSON *find_set(const cJSON *root, const struct ruleset_lead *lead, const char *name)
{
	const cJSON *entry, *set;

	cJSON_ArrayForEach(entry, member(root, "nftables"))
	{
		set = member(entry, "set");
		if (set && strcmp(text(set, "name"), name) == 0 &&
		    strcmp(text(set, "table"), lead->table) == 0 &&
		    strcmp(text(set, "family"), lead->family) == 0)
			return member(set, "elem");
	}
	return NULL;
}

/* 443, {"range": [8000, 8999]}, or an element with more to it: {"elem": {"val": 443, ...}}. */
static void add_element(struct reading *reading, const cJSON *value)
{
	const cJSON *range = member(value, "range");
	const cJSON *inner = member(member(value, "elem"), "val");

	if (inner)
		value = inner;
	if (cJSON_IsNumber(value))
		add_range(reading, value->valuedouble, value->valuedouble);
	else if (cJSON_IsArray(range) && cJSON_IsNumber(cJSON_GetArrayItem(range, 0)) &&
		 cJSON_IsNumber(cJSON_GetArrayItem(range, 1)))
		add_range(reading, cJSON_GetArrayItem(range, 0)->valuedouble,
			  cJSON_GetArrayItem(range, 1)->valuedouble);
	else
		reading->any_port = true;
}

static void read_ports(struct reading *reading, const char *op, const cJSON *right)
{
	const cJSON *list = member(right, "set"), *element;

	if (strcmp(op, "==") != 0 && strcmp(op, "in") != 0) {
		reading->any_port = true;
		return;
	}
	if (cJSON_IsString(right) && right->valuestring[0] == '@')
		list = find_set(reading->root, &reading->lead, right->valuestring + 1);
	else if (!list) {
		add_element(reading, right);
		return;
	}
	if (!cJSON_IsArray(list)) {
		reading->any_port = true;
		return;
	}
	cJSON_ArrayForEach(element, list)
	{
		add_element(reading, element);
	}
}

/* By name, or by number where there is no /etc/protocols. A set of several may have TCP in it. */
static bool is_other_protocol(const cJSON *right)
{
	if (cJSON_IsString(right))
		return strcmp(right->valuestring, "tcp") != 0;
	return cJSON_IsNumber(right) && right->valuedouble != IPPROTO_TCP;
}

/* {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": ...} */
static void read_match(struct reading *reading, const cJSON *match)
{
	const cJSON *payload = member(member(match, "left"), "payload");
	const cJSON *right = member(match, "right");
	const char *protocol = text(payload, "protocol");

	if (strcmp(protocol, "udp") == 0)
		reading->other_protocol = true;
	else if ((strcmp(protocol, "tcp") == 0 || strcmp(protocol, "th") == 0) &&
		 strcmp(text(payload, "field"), "dport") == 0)
		read_ports(reading, text(match, "op"), right);
	else if (strcmp(text(member(member(match, "left"), "meta"), "key"), "l4proto") == 0)
		reading->other_protocol |= is_other_protocol(right);
}

static void read_expression(struct reading *reading, const cJSON *expression)
{
	static const char *const verbs[] = {"redirect", "dnat", "tproxy"};
	const cJSON *match = member(expression, "match"), *verb, *port;

	if (match)
		read_match(reading, match);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		verb = member(expression, verbs[i]);
		if (!verb)
			continue;
		reading->lead.verb = verbs[i];
		port = member(verb, "port");
		if (cJSON_IsString(member(verb, "addr")))
			reading->lead.address = member(verb, "addr")->valuestring;
		if (cJSON_IsNumber(port) && port->valuedouble > 0 && port->valuedouble <= PORT_MAX)
			reading->lead.target = (uint16_t)port->valuedouble;
	}
}

void ruleset_walk(const cJSON *root, ruleset_tell *tell, void *context)
{
	const cJSON *entry, *rule, *expression;

	cJSON_ArrayForEach(entry, member(root, "nftables"))
	{
		struct reading reading = {.root = root};

		rule = member(entry, "rule");
		if (!rule)
			continue;
		reading.lead.family = text(rule, "family");
		reading.lead.table = text(rule, "table");
		reading.lead.chain = text(rule, "chain");
		cJSON_ArrayForEach(expression, member(rule, "expr"))
		{
			read_expression(&reading, expression);
		}
		if (!reading.lead.verb || reading.other_protocol)
			continue;
		if (reading.any_port)
			reading.lead.ports_len = 0;
		tell(context, &reading.lead);
	}
}

bool ruleset_has_iptables(const cJSON *root)
{
	const cJSON *entry, *expression;

	cJSON_ArrayForEach(entry, member(root, "nftables"))
	{
		cJSON_ArrayForEach(expression, member(member(entry, "rule"), "expr"))
		{
			if (member(expression, "xt"))
				return true;
		}
	}
	return false;
}

bool ruleset_meets(const struct ruleset_lead *lead, const struct settings_ports *ports, size_t len)
{
	if (!lead->ports_len)
		return true;
	for (size_t i = 0; i < lead->ports_len; i++) {
		for (size_t j = 0; j < len; j++) {
			if (lead->ports[i].first <= ports[j].last &&
			    ports[j].first <= lead->ports[i].last)
				return true;
		}
	}
	return false;
}
