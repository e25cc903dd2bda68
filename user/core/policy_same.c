// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/policy.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_texts(char *const *a, size_t a_len, char *const *b, size_t b_len)
{
	bool same = a_len == b_len;

	for (size_t i = 0; same && i < a_len; i++)
		same = same_text(a[i], b[i]);
	return same;
}

static bool same_networks(const struct policy_rule *a, const struct policy_rule *b)
{
	bool same = a->networks_len == b->networks_len;

	for (size_t i = 0; same && i < a->networks_len; i++)
		same = a->networks[i].bits == b->networks[i].bits &&
		       !memcmp(a->networks[i].address, b->networks[i].address,
			       sizeof(a->networks[i].address));
	return same;
}

static bool same_ports(const struct policy_rule *a, const struct policy_rule *b)
{
	bool same = a->ports_len == b->ports_len;

	for (size_t i = 0; same && i < a->ports_len; i++)
		same = a->ports[i].first == b->ports[i].first &&
		       a->ports[i].last == b->ports[i].last;
	return same;
}

static bool same_processes(const struct policy_rule *a, const struct policy_rule *b)
{
	bool same = a->processes_len == b->processes_len;

	for (size_t i = 0; same && i < a->processes_len; i++)
		same = a->processes[i].kind == b->processes[i].kind &&
		       same_text(a->processes[i].glob, b->processes[i].glob);
	return same;
}

static bool same_rule(const struct policy_rule *a, const struct policy_rule *b)
{
	return same_texts(a->sni, a->sni_len, b->sni, b->sni_len) && same_networks(a, b) &&
	       same_ports(a, b) && same_texts(a->alpn, a->alpn_len, b->alpn, b->alpn_len) &&
	       same_processes(a, b) && same_text(a->comment, b->comment);
}

bool policy_is_same(const struct policy *a, const struct policy *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = same_rule(&a->rules[i], &b->rules[i]);
	return same;
}
