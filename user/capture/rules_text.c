// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/rules_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/rules_match.h"
#include "capture/rules_part.h"
#include "capture/rules_source.h"

/* Before others' destination NAT (priority dstnat, -100), so that who calls is still known. */
#define NAT_PRIORITY -101

static const char *name_of(const struct rules_chain *chain)
{
	return rules_part_name(chain->kind);
}

static void write_comment(const struct rules_chain *chain, const char *key)
{
	fprintf(chain->out, "comment \"capture.%s%s%s\"\n", name_of(chain), *key ? "." : "", key);
}

/* The end of a rule that leaves its packets alone. */
static void write_return(const struct rules_chain *chain, const char *key)
{
	fputs("return ", chain->out);
	write_comment(chain, key);
}

static void write_exempt_networks(const struct rules_chain *chain,
				  const struct capture_networks *networks, const char *direction,
				  const char *key)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2; i++) {
		if (!rules_part_count(networks, families[i]))
			continue;
		fputs("\t\t", chain->out);
		if (!rules_match_write_networks(chain, networks, families[i], direction))
			fprintf(chain->out, "meta nfproto %s ",
				families[i] == AF_INET6 ? "ipv6" : "ipv4");
		write_return(chain, key);
	}
}

static void write_exempt(const struct rules_chain *chain)
{
	const struct capture_match *exempt = &rules_chain_part(chain)->exempt;

	if (exempt->ports.len) {
		fputs("\t\t", chain->out);
		rules_match_write_ports(chain, &exempt->ports);
		write_return(chain, "exempt.ports");
	}
	write_exempt_networks(chain, &exempt->networks, "daddr", "exempt.networks");
	write_exempt_networks(chain, &exempt->sources, "saddr", "exempt.sources");
	if (exempt->interfaces.len) {
		fputs("\t\t", chain->out);
		rules_match_write_interfaces(chain, &exempt->interfaces);
		write_return(chain, "exempt.interfaces");
	}
	if (exempt->users.len) {
		fputs("\t\t", chain->out);
		rules_match_write_users(chain, &exempt->users);
		write_return(chain, "exempt.users");
	}
	for (size_t i = 0; i < exempt->cgroups.len; i++) {
		fputs("\t\t", chain->out);
		rules_match_write_cgroup(chain, exempt->cgroups.list[i]);
		write_return(chain, "exempt.cgroups");
	}
}

/*
 * What no configuration changes. The mark of the socket, too: others' rules may give the packet
 * another one before it comes here. A link-local destination lacks its interface when the socket
 * is asked for it, so that ksplitd could not call it.
 */
static void write_left_alone(const struct rules_chain *chain)
{
	const struct capture_ports *own = &chain->capture->own_ports;

	fprintf(chain->out,
		"\t\tmeta mark 0x%08" PRIx32
		" return comment \"capture.mark: ksplitd's own calls\"\n",
		chain->capture->mark);
	if (chain->kind == CAPTURE_OUTGOING)
		fprintf(chain->out,
			"\t\tsocket mark 0x%08" PRIx32
			" return comment \"capture.mark: ksplitd's own calls\"\n",
			chain->capture->mark);
	if (own->len && strcmp(chain->protocol, "tcp") == 0) {
		fputs("\t\tfib daddr type local ", chain->out);
		rules_match_write_ports(chain, own);
		fputs("return comment \"listeners: ksplitd's own ports\"\n", chain->out);
	}
	fputs("\t\tip6 daddr fe80::/10 return comment \"link-local: cannot be called again\"\n",
	      chain->out);
}

/* All that follows a call's first packet. */
static const char behind_syn[] = "tcp flags & (fin | syn | rst | ack) != syn ";

/*
 * Where conntrack begins with these rules, it meets connections in their middle and takes them for
 * new ones; TPROXY asks nobody. Led to another socket, they would be reset.
 */
static void write_there_before(const struct rules_chain *chain)
{
	fprintf(chain->out, "\t\t%sreturn comment \"calls that were there before\"\n", behind_syn);
}

static void write_to_socket(const struct rules_chain *chain, const char *which, const char *comment)
{
	fputs("\t\t", chain->out);
	rules_match_write_ports(chain, &rules_chain_part(chain)->match.ports);
	fprintf(chain->out,
		"%s meta mark set 0x%08" PRIx32 " accept comment \"capture.%s: %s\"\n", which,
		capture_tproxy_mark(chain->capture), name_of(chain), comment);
}

/*
 * What is captured by TPROXY stays so when the rules behind this change: it has no other memory. A
 * handshake that was begun is no whole socket yet, and says nothing of `wildcard`
 * (net/netfilter/nft_socket.c).
 */
static void write_captured_before(const struct rules_chain *chain)
{
	char begun[100];

	write_to_socket(chain, "socket transparent 1 socket wildcard 0",
			"connections that ksplitd has");
	snprintf(begun, sizeof(begun), "%ssocket transparent 1", behind_syn);
	write_to_socket(chain, begun, "handshakes that ksplitd has begun");
	if (!chain->open)
		write_there_before(chain);
}

/* Where to: REDIRECT finds what listens on all addresses, another address has to be told. */
static void write_target(const struct rules_chain *chain, sa_family_t family)
{
	const union capture_address *listener =
		rules_part_listener(rules_chain_part(chain), family);
	const char *name = family == AF_INET6 ? "ip6" : "ip";
	bool tproxy = rules_chain_part(chain)->method == CAPTURE_TPROXY;
	bool all = rules_part_is_wildcard(listener);
	char address[RULES_PART_ADDRESS];
	uint16_t port = rules_part_port(listener);

	rules_part_print_address(listener, address);
	if (tproxy && all)
		fprintf(chain->out, "tproxy %s to :%u ", name, port);
	else if (tproxy)
		fprintf(chain->out, "tproxy %s to %s:%u ", name, address, port);
	else if (all || chain->kind == CAPTURE_OUTGOING)
		fprintf(chain->out, "redirect to :%u ", port);
	else
		fprintf(chain->out, "dnat %s to %s:%u ", name, address, port);
	if (tproxy)
		fprintf(chain->out, "meta mark set 0x%08" PRIx32 " accept ",
			capture_tproxy_mark(chain->capture));
	write_comment(chain, "");
}

/* One rule for each cgroup: a set holds values of one depth alone. */
static void write_capturing(const struct rules_chain *chain, sa_family_t family)
{
	const struct capture_match *match = &rules_chain_part(chain)->match;
	size_t i = 0;

	if (!rules_part_captures(rules_chain_part(chain), family))
		return;
	do {
		rules_match_write(chain, family, &match->ports,
				  match->cgroups.len ? match->cgroups.list[i] : NULL);
		write_target(chain, family);
	} while (++i < match->cgroups.len);
}

static void write_refusing(const struct rules_chain *chain, sa_family_t family)
{
	static uint16_t https = 443;
	const struct capture_ports quic = {.list = &https, .len = 1};
	const struct capture_match *match = &rules_chain_part(chain)->match;
	size_t i = 0;

	if (!rules_part_captures(rules_chain_part(chain), family))
		return;
	do {
		rules_match_write(chain, family, &quic,
				  match->cgroups.len ? match->cgroups.list[i] : NULL);
		fputs("reject with icmpx type port-unreachable comment \"capture.refuse_quic\"\n",
		      chain->out);
	} while (++i < match->cgroups.len);
}

/* What a reader might take for granted. */
static void write_gap(const struct rules_chain *chain, sa_family_t family)
{
	const struct capture_part *part = rules_chain_part(chain);
	bool listens = rules_part_listener(part, family)->sa.sa_family == family;

	if (!rules_part_captures(part, family))
		fprintf(chain->out, "\t# IPv%d is not captured: %s.\n", family == AF_INET6 ? 6 : 4,
			listens ? "none of its networks is listed" : "no listener for it");
}

static void write_choosing(const struct rules_chain *chain)
{
	write_exempt(chain);
	write_capturing(chain, AF_INET);
	write_capturing(chain, AF_INET6);
}

static void write_chain(const struct rules_chain *chain)
{
	static const char *const what[] = {
		[CAPTURE_OUTGOING] = "calls of this host",
		[CAPTURE_INCOMING] = "calls from elsewhere to this host",
		[CAPTURE_FORWARDED] = "calls that pass this host",
	};
	const char *hook = chain->kind == CAPTURE_OUTGOING ? "output" : "prerouting";
	const struct capture_part *part = rules_chain_part(chain);

	fprintf(chain->out, "\n\t# capture.%s: %s%s\n", name_of(chain), what[chain->kind],
		chain->open ? ", those that are open" : "");
	if (!chain->open) {
		write_gap(chain, AF_INET);
		write_gap(chain, AF_INET6);
	}
	if (part->method == CAPTURE_TPROXY)
		rules_part_write_routing(chain->out, chain->capture, "\t# ");
	fprintf(chain->out, "\tchain %s {\n", name_of(chain));
	if (part->method == CAPTURE_TPROXY)
		fprintf(chain->out, "\t\ttype filter hook %s priority mangle; policy accept;\n",
			hook);
	else
		fprintf(chain->out, "\t\ttype nat hook %s priority %d; policy accept;\n", hook,
			NAT_PRIORITY);
	if (!chain->open && part->method != CAPTURE_TPROXY)
		write_there_before(chain);
	if (!chain->open || part->method == CAPTURE_TPROXY)
		write_left_alone(chain);
	if (part->method == CAPTURE_TPROXY)
		write_captured_before(chain);
	else if (chain->open)
		fputs("\t\tct state established return comment \"open connections stay "
		      "translated\"\n",
		      chain->out);
	if (!chain->open)
		write_choosing(chain);
	fputs("\t}\n", chain->out);
}

/* Whoever would be captured speaks TCP when QUIC does not get through. */
static void write_quic_chain(const struct rules_chain *chain)
{
	static const char *const hooks[] = {
		[CAPTURE_OUTGOING] = "output",
		[CAPTURE_INCOMING] = "input",
		[CAPTURE_FORWARDED] = "forward",
	};

	fprintf(chain->out, "\n\t# capture.refuse_quic: clients of capture.%s fall back to TCP\n",
		name_of(chain));
	fprintf(chain->out,
		"\tchain %s_quic {\n"
		"\t\ttype filter hook %s priority filter; policy accept;\n",
		name_of(chain), hooks[chain->kind]);
	write_left_alone(chain);
	write_exempt(chain);
	write_refusing(chain, AF_INET);
	write_refusing(chain, AF_INET6);
	fputs("\t}\n", chain->out);
}

/* Which of the tables: see rules_text.h. */
struct table_kind {
	bool owner, open;
};

static void write_table(FILE *out, const struct capture *capture, const void *ctx)
{
	const struct table_kind *kind = ctx;
	struct rules_chain chain = {.out = out, .capture = capture, .open = kind->open};

	fprintf(out,
		"# Made by ksplitd from the section \"capture\" of its configuration, "
		"see ksplit.json(5).\n"
		"table inet %s {\n",
		capture->table);
	fputs("\tcomment \"" CAPTURE_TABLE_COMMENT "\"\n", out);
	if (kind->owner)
		fputs("\tflags owner;\n", out);
	for (size_t i = 0; i < CAPTURE_HOOK; i++) {
		chain.kind = (enum capture_kind)i;
		if (!rules_chain_part(&chain)->given)
			continue;
		chain.protocol = "tcp";
		write_chain(&chain);
		chain.protocol = "udp";
		if (!kind->open && capture->refuse_quic &&
		    rules_part_has_port(&rules_chain_part(&chain)->match, 443))
			write_quic_chain(&chain);
	}
	rules_source_write_nft(out, capture);
	fputs("}\n", out);
}

int rules_text_make(const struct capture *capture, bool owner, char **out)
{
	return rules_part_make(capture, write_table, &(struct table_kind){.owner = owner}, out);
}

int rules_text_make_open(const struct capture *capture, bool owner, char **out)
{
	return rules_part_make(capture, write_table,
			       &(struct table_kind){.owner = owner, .open = true}, out);
}
