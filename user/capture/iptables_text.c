// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/iptables_text.h"

#include <inttypes.h>
#include <string.h>

#include "capture/rules_part.h"
#include "capture/rules_source.h"

#define MULTIPORT_MAX 15 /* ports of one rule, iptables-extensions(8) */

/* A chain on its way. */
struct chain {
	FILE *out;
	const struct capture *capture;
	enum capture_kind kind;
	sa_family_t family;
	const char *protocol; /* "tcp", "udp" */
	const char *table;    /* "nat", "mangle", "filter" */
	char name[29];        /* of a chain, iptables(8) */
};

/* One of each list of which a rule takes one; NULL or no length: the list is empty. */
struct choice {
	const uint16_t *ports;
	size_t ports_len;
	const uid_t *user;
	const char *cgroup;
	const char *interface;
};

static const struct capture_part *part_of(const struct chain *chain)
{
	return &chain->capture->parts[chain->kind];
}

static const union capture_address *listener_of(const struct chain *chain)
{
	return rules_part_listener(part_of(chain), chain->family);
}

/* "iptables -t nat -A ksplit-outgoing", the beginning of every line. */
static void begin(const struct chain *chain, const char *command)
{
	fprintf(chain->out, "%s -t %s %s %s", chain->family == AF_INET6 ? "ip6tables" : "iptables",
		chain->table, command, chain->name);
}

static void write_ports(const struct chain *chain, const uint16_t *ports, size_t len)
{
	fprintf(chain->out, " -p %s -m multiport --dports ", chain->protocol);
	for (size_t i = 0; i < len; i++)
		fprintf(chain->out, "%s%u", i ? "," : "", ports[i]);
}

/* Several networks behind one option become several rules, iptables(8). */
static void write_networks(const struct chain *chain, const struct capture_networks *networks,
			   const char *option)
{
	char text[RULES_PART_NETWORK];
	size_t written = 0;

	if (!rules_part_count(networks, chain->family) ||
	    rules_part_is_all(networks, chain->family))
		return;
	fprintf(chain->out, " %s ", option);
	for (size_t i = 0; i < networks->len; i++) {
		if (networks->list[i].family != chain->family)
			continue;
		rules_part_print_network(&networks->list[i], text);
		fprintf(chain->out, "%s%s", written++ ? "," : "", text);
	}
}

/* A word for a shell: names of cgroups and interfaces may hold anything but a double quote. */
static void write_quoted(const struct chain *chain, const char *word)
{
	fputc('\'', chain->out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", chain->out);
		else
			fputc(*word, chain->out);
	}
	fputc('\'', chain->out);
}

static void write_choice(const struct chain *chain, const struct choice *choice)
{
	if (choice->interface) {
		fputs(" -i ", chain->out);
		write_quoted(chain, choice->interface);
	}
	if (choice->ports_len)
		write_ports(chain, choice->ports, choice->ports_len);
	if (choice->user)
		fprintf(chain->out, " -m owner --uid-owner %u", *choice->user);
	if (choice->cgroup) {
		fputs(" -m cgroup --path ", chain->out);
		write_quoted(chain, choice->cgroup);
	}
}

static void write_return(const struct chain *chain, const char *comment)
{
	fprintf(chain->out, " -m comment --comment \"%s\" -j RETURN\n", comment);
}

/* See rules_text.c, write_there_before. */
static void write_there_before(const struct chain *chain)
{
	begin(chain, "-A");
	fputs(" -p tcp ! --syn", chain->out);
	write_return(chain, "calls that were there before");
}

static void write_left_alone(const struct chain *chain)
{
	const struct capture_ports *own = &chain->capture->own_ports;

	begin(chain, "-A");
	fprintf(chain->out, " -m mark --mark 0x%" PRIx32, chain->capture->mark);
	write_return(chain, "capture.mark: ksplitd's own calls");
	for (size_t i = 0; i < own->len && strcmp(chain->protocol, "tcp") == 0; i++) {
		begin(chain, "-A");
		fprintf(chain->out, " -p tcp --dport %u -m addrtype --dst-type LOCAL",
			own->list[i]);
		write_return(chain, "listeners: ksplitd's own ports");
	}
	if (chain->family == AF_INET6) {
		begin(chain, "-A");
		fputs(" -d fe80::/10", chain->out);
		write_return(chain, "link-local: cannot be called again");
	}
}

static void write_exempt_choice(const struct chain *chain, const struct choice *choice,
				const char *key)
{
	char comment[96];

	begin(chain, "-A");
	write_choice(chain, choice);
	snprintf(comment, sizeof(comment), "capture.%s.exempt.%s", rules_part_name(chain->kind),
		 key);
	write_return(chain, comment);
}

static void write_exempt_networks(const struct chain *chain,
				  const struct capture_networks *networks, const char *option,
				  const char *key)
{
	char comment[96];

	if (!rules_part_count(networks, chain->family))
		return;
	begin(chain, "-A");
	write_networks(chain, networks, option);
	snprintf(comment, sizeof(comment), "capture.%s.exempt.%s", rules_part_name(chain->kind),
		 key);
	write_return(chain, comment);
}

/* The ports behind `from` that one rule can hold. */
static size_t ports_of_rule(const struct capture_ports *ports, size_t from)
{
	return ports->len - from < MULTIPORT_MAX ? ports->len - from : MULTIPORT_MAX;
}

static void write_exempt(const struct chain *chain)
{
	const struct capture_match *exempt = &part_of(chain)->exempt;
	size_t i;

	for (i = 0; i < exempt->ports.len; i += MULTIPORT_MAX)
		write_exempt_choice(chain,
				    &(struct choice){.ports = exempt->ports.list + i,
						     .ports_len = ports_of_rule(&exempt->ports, i)},
				    "ports");
	write_exempt_networks(chain, &exempt->networks, "-d", "networks");
	write_exempt_networks(chain, &exempt->sources, "-s", "sources");
	for (i = 0; i < exempt->interfaces.len; i++)
		write_exempt_choice(chain,
				    &(struct choice){.interface = exempt->interfaces.list[i]},
				    "interfaces");
	for (i = 0; i < exempt->users.len; i++)
		write_exempt_choice(chain, &(struct choice){.user = &exempt->users.list[i]},
				    "users");
	for (i = 0; i < exempt->cgroups.len; i++)
		write_exempt_choice(chain, &(struct choice){.cgroup = exempt->cgroups.list[i]},
				    "cgroups");
}

static void write_target(const struct chain *chain)
{
	const union capture_address *listener = listener_of(chain);
	char address[RULES_PART_ADDRESS];
	uint16_t port = rules_part_port(listener);

	rules_part_print_address(listener, address);
	if (strcmp(chain->protocol, "udp") == 0) {
		fprintf(chain->out,
			" -m comment --comment \"capture.refuse_quic\" -j REJECT --reject-with "
			"%s\n",
			chain->family == AF_INET6 ? "icmp6-port-unreachable"
						  : "icmp-port-unreachable");
		return;
	}
	fprintf(chain->out, " -m comment --comment \"capture.%s\"", rules_part_name(chain->kind));
	if (part_of(chain)->method == CAPTURE_TPROXY) {
		fprintf(chain->out, " -j TPROXY --on-port %u", port);
		if (!rules_part_is_wildcard(listener))
			fprintf(chain->out, " --on-ip %.*s",
				(int)strcspn(address + (*address == '['), "]"),
				address + (*address == '['));
		fprintf(chain->out, " --tproxy-mark 0x%" PRIx32 "\n",
			capture_tproxy_mark(chain->capture));
	} else if (rules_part_is_wildcard(listener) || chain->kind == CAPTURE_OUTGOING) {
		fprintf(chain->out, " -j REDIRECT --to-ports %u\n", port);
	} else {
		fprintf(chain->out, " -j DNAT --to-destination %s:%u\n", address, port);
	}
}

static void write_rule(const struct chain *chain, const struct choice *choice)
{
	const struct capture_match *match = &part_of(chain)->match;

	begin(chain, "-A");
	if (chain->kind == CAPTURE_INCOMING)
		fputs(" -m addrtype --dst-type LOCAL", chain->out);
	else if (chain->kind == CAPTURE_FORWARDED)
		fputs(" -m addrtype --dst-type UNICAST", chain->out);
	write_networks(chain, &match->sources, "-s");
	write_networks(chain, &match->networks, "-d");
	write_choice(chain, choice);
	write_target(chain);
}

/* A rule takes one user, one cgroup and one interface: a rule for each that go together. */
static void write_rules_for_ports(const struct chain *chain, struct choice *choice)
{
	const struct capture_match *match = &part_of(chain)->match;
	size_t user = 0, cgroup, interface;

	do {
		choice->user = match->users.len ? &match->users.list[user] : NULL;
		cgroup = 0;
		do {
			choice->cgroup = match->cgroups.len ? match->cgroups.list[cgroup] : NULL;
			interface = 0;
			do {
				choice->interface = match->interfaces.len
							    ? match->interfaces.list[interface]
							    : NULL;
				write_rule(chain, choice);
			} while (++interface < match->interfaces.len);
		} while (++cgroup < match->cgroups.len);
	} while (++user < match->users.len);
}

static void write_rules(const struct chain *chain)
{
	static const uint16_t https = 443;
	const struct capture_ports *ports = &part_of(chain)->match.ports;
	struct choice choice = {.ports = &https, .ports_len = 1};

	if (strcmp(chain->protocol, "udp") == 0) {
		write_rules_for_ports(chain, &choice);
		return;
	}
	for (size_t i = 0; i < ports->len; i += MULTIPORT_MAX) {
		choice.ports = ports->list + i;
		choice.ports_len = ports_of_rule(ports, i);
		write_rules_for_ports(chain, &choice);
	}
}

/* The built-in chain that leads to ours. */
static const char *hook_of(const struct chain *chain)
{
	if (chain->kind == CAPTURE_OUTGOING)
		return "OUTPUT";
	if (strcmp(chain->protocol, "tcp") == 0)
		return "PREROUTING";
	return chain->kind == CAPTURE_INCOMING ? "INPUT" : "FORWARD";
}

static void write_jump(const struct chain *chain, const char *command)
{
	fprintf(chain->out, "%s -t %s %s %s -p %s -j %s\n",
		chain->family == AF_INET6 ? "ip6tables" : "iptables", chain->table, command,
		hook_of(chain), chain->protocol, chain->name);
}

/* Filled first and entered last, so that no packet meets half a chain. */
static void write_chain(const struct chain *chain)
{
	fputc('\n', chain->out);
	begin(chain, "-N");
	fputc('\n', chain->out);
	if (strcmp(chain->table, "nat") == 0)
		write_there_before(chain);
	write_left_alone(chain);
	write_exempt(chain);
	write_rules(chain);
	write_jump(chain, "-I");
}

/* How to get rid of it again, as a comment. */
static void write_removal(const struct chain *chain)
{
	fputs("#   ", chain->out);
	write_jump(chain, "-D");
	fputs("#   ", chain->out);
	begin(chain, "-F");
	fputs("\n#   ", chain->out);
	begin(chain, "-X");
	fputc('\n', chain->out);
}

typedef void chain_fn(const struct chain *chain);

static void visit(struct chain *chain, const char *protocol, const char *table, chain_fn *fn)
{
	chain->protocol = protocol;
	chain->table = table;
	snprintf(chain->name, sizeof(chain->name), "ksplit-%s%s", rules_part_name(chain->kind),
		 strcmp(protocol, "udp") == 0 ? "-quic" : "");
	fn(chain);
}

static void visit_chains(FILE *out, const struct capture *capture, chain_fn *fn)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};
	struct chain chain = {.out = out, .capture = capture};
	bool tproxy;

	for (size_t i = 0; i < 2 * CAPTURE_HOOK; i++) {
		chain.kind = (enum capture_kind)(i / 2);
		chain.family = families[i % 2];
		if (!part_of(&chain)->given || !rules_part_captures(part_of(&chain), chain.family))
			continue;
		tproxy = part_of(&chain)->method == CAPTURE_TPROXY;
		visit(&chain, "tcp", tproxy ? "mangle" : "nat", fn);
		if (capture->refuse_quic && rules_part_has_port(&part_of(&chain)->match, 443))
			visit(&chain, "udp", "filter", fn);
	}
}

/* Whatever is captured: a client with an IPv4-mapped address calls by IPv4. */
static void write_source(FILE *out, const struct capture *capture, const char *prefix,
			 const char *command)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2 && rules_source_needed(capture); i++) {
		fputs(prefix, out);
		rules_source_write_iptables(out, capture, families[i], command);
	}
}

static void write_script(FILE *out, const struct capture *capture, const void *ctx)
{
	(void)ctx;
	fputs("# Made by ksplitd from the section \"capture\" of its configuration, see "
	      "ksplit.json(5).\n"
	      "# For hand use, where there is no nftables. What is lost this way:\n"
	      "# - Nobody withdraws these rules. When ksplitd ends or dies, what they capture "
	      "fails "
	      "until\n"
	      "#   they are removed (the commands are at the end).\n"
	      "# - They are not loaded at one stroke: each command counts at once.\n"
	      "# - They know ksplitd's own calls by the mark of the packet alone, not of the "
	      "socket.\n",
	      out);
	if (capture->parts[CAPTURE_FORWARDED].method == CAPTURE_TPROXY &&
	    capture->parts[CAPTURE_FORWARDED].given) {
		fputs("# - Calls that are open when TPROXY is switched on are reset.\n#\n", out);
		rules_part_write_routing(out, capture, "# ");
	}
	write_source(out, capture, "\n", "-I");
	visit_chains(out, capture, write_chain);
	fputs("\n# Removal:\n", out);
	visit_chains(out, capture, write_removal);
	write_source(out, capture, "#   ", "-D");
}

int iptables_text_make(const struct capture *capture, char **out)
{
	return rules_part_make(capture, write_script, NULL, out);
}
