// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Within one label: `*` is any run of characters. Linear but for the last star (no recursion). */
static bool label_matches(const char *glob, size_t glob_len, const char *label, size_t label_len)
{
	size_t g = 0, l = 0, star = SIZE_MAX, from = 0;

	while (l < label_len) {
		if (g < glob_len && glob[g] == '*') {
			star = g++;
			from = l;
		} else if (g < glob_len && lower(glob[g]) == lower(label[l])) {
			g++;
			l++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			l = ++from;
		} else {
			return false;
		}
	}
	while (g < glob_len && glob[g] == '*')
		g++;
	return g == glob_len;
}

/* Where the last label of the first `len` bytes begins. */
static size_t last_label(const char *text, size_t len)
{
	while (len > 0 && text[len - 1] != '.')
		len--;
	return len;
}

bool policy_sni_matches(const char *pattern, const char *name)
{
	size_t p_end = strlen(pattern), n_end = strlen(name);

	if (!n_end)
		return false;
	/* From the root down, as names are read. */
	for (;;) {
		size_t p = last_label(pattern, p_end), n = last_label(name, n_end);

		if (p == 0 && p_end == 1 && pattern[0] == '*')
			return true;
		if (!label_matches(pattern + p, p_end - p, name + n, n_end - n))
			return false;
		if (p == 0 || n == 0)
			return p == 0 && n == 0;
		p_end = p - 1;
		n_end = n - 1;
	}
}

static bool is_mapped(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, mapped, sizeof(mapped));
}

/* IPv4 as IPv6: mapped. false: no IP address. */
static bool ip_of(const union conn_address *address, uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->sa.sa_family == AF_INET6) {
		memcpy(ip, &address->in6.sin6_addr, 16);
		return true;
	}
	memcpy(ip, mapped, sizeof(mapped));
	memcpy(ip + 12, &address->in.sin_addr, 4);
	return address->sa.sa_family == AF_INET;
}

bool policy_network_has(const struct policy_network *network, const union conn_address *address)
{
	const size_t bytes = network->bits / 8, rest = network->bits % 8;
	uint8_t ip[16];

	if (!ip_of(address, ip) || memcmp(ip, network->address, bytes))
		return false;
	/* "::/0" is all of IPv6 and nothing of IPv4. */
	if (is_mapped(ip) && network->bits < 96)
		return false;
	return !rest || !((ip[bytes] ^ network->address[bytes]) >> (8 - rest));
}

static uint16_t port_of(const union conn_address *address)
{
	return ntohs(address->sa.sa_family == AF_INET6 ? address->in6.sin6_port
						       : address->in.sin_port);
}

static bool has_network(const struct policy_rule *rule, const union conn_address *address)
{
	for (size_t i = 0; i < rule->networks_len; i++)
		if (policy_network_has(&rule->networks[i], address))
			return true;
	return rule->networks_len == 0;
}

static bool has_port(const struct policy_rule *rule, const union conn_address *address)
{
	const uint16_t port = port_of(address);

	for (size_t i = 0; i < rule->ports_len; i++)
		if (port >= rule->ports[i].first && port <= rule->ports[i].last)
			return true;
	return rule->ports_len == 0;
}

/* A name with several addresses: one is enough, since it could be the one that is called. */
static bool has_address(const struct policy_rule *rule, const struct policy_call *call)
{
	for (size_t i = 0; i < call->addresses_len; i++)
		if (has_network(rule, &call->addresses[i]) && has_port(rule, &call->addresses[i]))
			return true;
	return rule->networks_len == 0 && rule->ports_len == 0;
}

static bool has_sni(const struct policy_rule *rule, const struct policy_call *call)
{
	for (size_t i = 0; i < rule->sni_len; i++)
		if (policy_sni_matches(rule->sni[i], call->sni))
			return true;
	return rule->sni_len == 0;
}

static bool offers(const struct policy_call *call, const char *alpn)
{
	const size_t len = strlen(alpn);

	for (size_t at = 0; at < call->alpn_len; at += 1U + call->alpn[at])
		if (call->alpn[at] == len && at + 1 + len <= call->alpn_len &&
		    !memcmp(call->alpn + at + 1, alpn, len))
			return true;
	return false;
}

static bool has_alpn(const struct policy_rule *rule, const struct policy_call *call)
{
	for (size_t i = 0; i < rule->alpn_len; i++)
		if (offers(call, rule->alpn[i]))
			return true;
	return rule->alpn_len == 0;
}

/* Who called, asked for once however many rules want to know. */
struct asked {
	struct policy_caller caller;
	bool asked, known;
};

static bool has_process(const struct policy_rule *rule, const struct policy_call *call,
			struct asked *asked)
{
	if (rule->processes_len == 0)
		return true;
	if (!asked->asked) {
		asked->asked = true;
		asked->known = call->find_caller && call->find_caller(call->ctx, &asked->caller);
	}
	for (size_t i = 0; asked->known && i < rule->processes_len; i++)
		if (policy_process_matches(&rule->processes[i], &asked->caller))
			return true;
	return false;
}

static bool rule_matches(const struct policy_rule *rule, const struct policy_call *call,
			 struct asked *asked)
{
	return has_sni(rule, call) && has_address(rule, call) && has_alpn(rule, call) &&
	       has_process(rule, call, asked);
}

bool policy_rule_matches(const struct policy_rule *rule, const struct policy_call *call)
{
	struct asked asked;

	asked.asked = asked.known = false;
	return rule_matches(rule, call, &asked);
}

int policy_match(const struct policy *policy, const struct policy_call *call)
{
	struct asked asked;

	asked.asked = asked.known = false;
	for (size_t i = 0; i < policy->len; i++)
		if (rule_matches(&policy->rules[i], call, &asked))
			return (int)i;
	return -ENOENT;
}

bool policy_names_processes(const struct policy *policy)
{
	for (size_t i = 0; i < policy->len; i++)
		if (policy->rules[i].processes_len)
			return true;
	return false;
}

static void free_texts(char **texts, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free(texts[i]);
	free(texts);
}

void policy_rule_free(struct policy_rule *rule)
{
	free_texts(rule->sni, rule->sni_len);
	free_texts(rule->alpn, rule->alpn_len);
	for (size_t i = 0; i < rule->processes_len; i++)
		free(rule->processes[i].glob);
	free(rule->processes);
	free(rule->networks);
	free(rule->ports);
	free(rule->comment);
	memset(rule, 0, sizeof(*rule));
}

void policy_free(struct policy *policy)
{
	for (size_t i = 0; i < policy->len; i++)
		policy_rule_free(&policy->rules[i]);
	free(policy->rules);
	memset(policy, 0, sizeof(*policy));
}
