// SPDX-License-Identifier: GPL-2.0-or-later
#include "iptables_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

/* A rule that is being read, word by word. */
struct rule {
	struct ruleset_lead lead;
	bool other_protocol, any_port;
};

/* The next word of a line, NULL at its end. Quotes hold a comment together. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " "), *end;

	if (!*word)
		return NULL;
	if (*word == '"') {
		end = ++word;
		while (*end && *end != '"')
			end += *end == '\\' && end[1] ? 2 : 1;
	} else {
		end = word + strcspn(word, " ");
	}
	*line = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* "443" or "8000:8999" */
static void add_range(struct rule *rule, const char *text)
{
	unsigned int first, last;
	int n = sscanf(text, "%5u:%5u", &first, &last);

	if (n == 1)
		last = first;
	if (n < 1 || first > last || last > PORT_MAX || rule->lead.ports_len == SETTINGS_PORTS) {
		rule->any_port = true;
		return;
	}
	rule->lead.ports[rule->lead.ports_len++] =
		(struct settings_ports){(uint16_t)first, (uint16_t)last};
}

static void add_ranges(struct rule *rule, char *list)
{
	char *rest = NULL;

	for (char *one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
		add_range(rule, one);
}

static void set_target(struct rule *rule, const char *port)
{
	unsigned long value = strtoul(port, NULL, 10);

	if (value <= PORT_MAX)
		rule->lead.target = (uint16_t)value;
}

/* "192.0.2.1:8443", "[2001:db8::1]:8443", or without a port. Cut into its two parts. */
static void set_destination(struct rule *rule, char *text)
{
	char *end = *text == '[' ? strchr(text, ']') : NULL, *colon;

	rule->lead.address = end ? text + 1 : text;
	colon = strchr(end ? end : text, ':');
	if (end)
		*end = '\0';
	else if (colon && strchr(colon + 1, ':'))
		return; /* an IPv6 address by itself */
	if (!colon)
		return;
	*colon = '\0';
	set_target(rule, colon + 1);
}

static void set_verb(struct rule *rule, const char *target)
{
	static const char *const names[][2] = {
		{"REDIRECT", "redirect"}, {"DNAT", "dnat"}, {"TPROXY", "tproxy"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(target, names[i][0]) == 0)
			rule->lead.verb = names[i][1];
	}
}

/* An option of a rule and its value; `negated`: "!" stands before it. */
static void read_option(struct rule *rule, const char *option, char *value, bool negated)
{
	if (strcmp(option, "-p") == 0)
		rule->other_protocol = (strcmp(value, "tcp") != 0) != negated;
	else if (strcmp(option, "--dport") != 0 && strcmp(option, "--dports") != 0 &&
		 strcmp(option, "--ports") != 0)
		;
	else if (negated)
		rule->any_port = true;
	else
		add_ranges(rule, value);
	if (strcmp(option, "-j") == 0)
		set_verb(rule, value);
	else if (strcmp(option, "--to-ports") == 0 || strcmp(option, "--on-port") == 0)
		set_target(rule, value);
	else if (strcmp(option, "--to-destination") == 0)
		set_destination(rule, value);
}

/* Behind "-A ". */
static void read_rule(struct rule *rule, char *line)
{
	char *word, *value, *last = NULL;

	rule->lead.chain = next_word(&line);
	while ((word = next_word(&line)) != NULL) {
		bool negated = last && strcmp(last, "!") == 0;

		last = word;
		if (word[0] != '-')
			continue;
		value = line + strspn(line, " ");
		if (*value && *value != '-') {
			value = next_word(&line);
			read_option(rule, word, value, negated);
			last = NULL;
		}
	}
}

void iptables_rules_walk(const char *program, char *text, ruleset_tell *tell, void *context)
{
	const char *table = "";
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct rule rule = {.lead = {.family = program, .table = table}};

		if (*line == '*')
			table = line + 1;
		if (strncmp(line, "-A ", 3) != 0)
			continue;
		read_rule(&rule, line + 3);
		if (!rule.lead.verb || !rule.lead.chain || rule.other_protocol)
			continue;
		if (rule.any_port)
			rule.lead.ports_len = 0;
		tell(context, &rule.lead);
	}
}
