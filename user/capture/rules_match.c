// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/rules_match.h"

#include <string.h>

#include "capture/rules_part.h"

/* How a list of several is written: "443 " or "{ 443, 8443 } ". */
static const char *opening(size_t len)
{
	return len > 1 ? "{ " : "";
}

static const char *between(size_t i)
{
	return i ? ", " : "";
}

static const char *closing(size_t len)
{
	return len > 1 ? " } " : " ";
}

void rules_match_write_ports(const struct rules_chain *chain, const struct capture_ports *ports)
{
	if (!ports->len)
		return;
	fprintf(chain->out, "%s dport %s", chain->protocol, opening(ports->len));
	for (size_t i = 0; i < ports->len; i++)
		fprintf(chain->out, "%s%u", between(i), ports->list[i]);
	fputs(closing(ports->len), chain->out);
}

bool rules_match_write_networks(const struct rules_chain *chain,
				const struct capture_networks *networks, sa_family_t family,
				const char *direction)
{
	size_t len = rules_part_count(networks, family), written = 0;
	char text[RULES_PART_NETWORK];

	if (len == 0 || rules_part_is_all(networks, family))
		return false;
	fprintf(chain->out, "%s %s %s", family == AF_INET6 ? "ip6" : "ip", direction, opening(len));
	for (size_t i = 0; i < networks->len; i++) {
		if (networks->list[i].family != family)
			continue;
		rules_part_print_network(&networks->list[i], text);
		fprintf(chain->out, "%s%s", between(written++), text);
	}
	fputs(closing(len), chain->out);
	return true;
}

void rules_match_write_users(const struct rules_chain *chain, const struct capture_users *users)
{
	if (!users->len)
		return;
	fprintf(chain->out, "meta skuid %s", opening(users->len));
	for (size_t i = 0; i < users->len; i++)
		fprintf(chain->out, "%s%u", between(i), users->list[i]);
	fputs(closing(users->len), chain->out);
}

void rules_match_write_interfaces(const struct rules_chain *chain,
				  const struct capture_names *names)
{
	if (!names->len)
		return;
	fprintf(chain->out, "iifname %s", opening(names->len));
	for (size_t i = 0; i < names->len; i++)
		fprintf(chain->out, "%s\"%s\"", between(i), names->list[i]);
	fputs(closing(names->len), chain->out);
}

void rules_match_write_cgroup(const struct rules_chain *chain, const char *path)
{
	unsigned int level = 1;

	for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++)
		level++;
	fprintf(chain->out, "socket cgroupv2 level %u \"%s%s\" ", level,
		chain->capture->cgroup_folder, path);
}

void rules_match_write(const struct rules_chain *chain, sa_family_t family,
		       const struct capture_ports *ports, const char *cgroup)
{
	const struct capture_match *match = &rules_chain_part(chain)->match;
	bool told;

	fputs("\t\t", chain->out);
	if (chain->kind == CAPTURE_INCOMING)
		fputs("fib daddr type local ", chain->out);
	else if (chain->kind == CAPTURE_FORWARDED)
		fputs("fib daddr type unicast ", chain->out);
	rules_match_write_interfaces(chain, &match->interfaces);
	told = rules_match_write_networks(chain, &match->sources, family, "saddr");
	if (rules_match_write_networks(chain, &match->networks, family, "daddr"))
		told = true;
	if (!told)
		fprintf(chain->out, "meta nfproto %s ", family == AF_INET6 ? "ipv6" : "ipv4");
	rules_match_write_ports(chain, ports);
	rules_match_write_users(chain, &match->users);
	if (cgroup)
		rules_match_write_cgroup(chain, cgroup);
	fputs("counter ", chain->out);
}
