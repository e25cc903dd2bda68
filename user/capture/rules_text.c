// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/rules_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/rules_part.h"

/* Before others' destination NAT (priority dstnat, -100), so that who calls is still known. */
#define NAT_PRIORITY -101

/* A chain on its way. */
struct chain {
	FILE *out;
	const struct capture *capture;
	enum capture_kind kind;
	const char *protocol; /* "tcp", "udp" */
	bool open; /* only what connections need that were captured before */
};

static const struct capture_part *part_of(const struct chain *chain)
{
	return &chain->capture->parts[chain->kind];
}

static const char *name_of(const struct chain *chain)
{
	return rules_part_name(chain->kind);
}

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

static void write_ports(const struct chain *chain, const struct capture_ports *ports)
{
	if (!ports->len)
		return;
	fprintf(chain->out, "%s dport %s", chain->protocol, opening(ports->len));
	for (size_t i = 0; i < ports->len; i++)
		fprintf(chain->out, "%s%u", between(i), ports->list[i]);
	fputs(closing(ports->len), chain->out);
}

/* "ip daddr { 192.0.2.0/24 } " of one family; nothing for "all addresses". Was anything written? */
static bool write_networks(const struct chain *chain, const struct capture_networks *networks,
			   sa_family_t family, const char *direction)
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

static void write_users(const struct chain *chain, const struct capture_users *users)
{
	if (!users->len)
		return;
	fprintf(chain->out, "meta skuid %s", opening(users->len));
	for (size_t i = 0; i < users->len; i++)
		fprintf(chain->out, "%s%u", between(i), users->list[i]);
	fputs(closing(users->len), chain->out);
}

static void write_interfaces(const struct chain *chain, const struct capture_names *names)
{
	if (!names->len)
		return;
	fprintf(chain->out, "iifname %s", opening(names->len));
	for (size_t i = 0; i < names->len; i++)
		fprintf(chain->out, "%s\"%s\"", between(i), names->list[i]);
	fputs(closing(names->len), chain->out);
}

/* A cgroup at its depth: the processes of those below it belong to it, too. */
static void write_cgroup(const struct chain *chain, const char *path)
{
	unsigned int level = 1;

	for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++)
		level++;
	fprintf(chain->out, "socket cgroupv2 level %u \"%s%s\" ", level,
		chain->capture->cgroup_folder, path);
}

static void write_comment(const struct chain *chain, const char *key)
{
	fprintf(chain->out, "comment \"capture.%s%s%s\"\n", name_of(chain), *key ? "." : "", key);
}

/* The end of a rule that leaves its packets alone. */
static void write_return(const struct chain *chain, const char *key)
{
	fputs("return ", chain->out);
	write_comment(chain, key);
}

static void write_exempt_networks(const struct chain *chain,
				  const struct capture_networks *networks, const char *direction,
				  const char *key)
{
	static const sa_family_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2; i++) {
		if (!rules_part_count(networks, families[i]))
			continue;
		fputs("\t\t", chain->out);
		if (!write_networks(chain, networks, families[i], direction))
			fprintf(chain->out, "meta nfproto %s ",
				families[i] == AF_INET6 ? "ipv6" : "ipv4");
		write_return(chain, key);
	}
}

static void write_exempt(const struct chain *chain)
{
	const struct capture_match *exempt = &part_of(chain)->exempt;

	if (exempt->ports.len) {
		fputs("\t\t", chain->out);
		write_ports(chain, &exempt->ports);
		write_return(chain, "exempt.ports");
	}
	write_exempt_networks(chain, &exempt->networks, "daddr", "exempt.networks");
	write_exempt_networks(chain, &exempt->sources, "saddr", "exempt.sources");
	if (exempt->interfaces.len) {
		fputs("\t\t", chain->out);
		write_interfaces(chain, &exempt->interfaces);
		write_return(chain, "exempt.interfaces");
	}
	if (exempt->users.len) {
		fputs("\t\t", chain->out);
		write_users(chain, &exempt->users);
		write_return(chain, "exempt.users");
	}
	for (size_t i = 0; i < exempt->cgroups.len; i++) {
		fputs("\t\t", chain->out);
		write_cgroup(chain, exempt->cgroups.list[i]);
		write_return(chain, "exempt.cgroups");
	}
}

/*
 * What no configuration changes. The mark of the socket, too: others' rules may give the packet
 * another one before it comes here. A link-local destination lacks its interface when the socket
 * is asked for it, so that ksplitd could not call it.
 */
static void write_left_alone(const struct chain *chain)
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
		write_ports(chain, own);
		fputs("return comment \"listeners: ksplitd's own ports\"\n", chain->out);
	}
	fputs("\t\tip6 daddr fe80::/10 return comment \"link-local: cannot be called again\"\n",
	      chain->out);
}

/* What is captured by TPROXY stays so when the rules behind this change: it has no other memory. */
static void write_captured_before(const struct chain *chain)
{
	fputs("\t\t", chain->out);
	write_ports(chain, &part_of(chain)->match.ports);
	fprintf(chain->out,
		"socket transparent 1 socket wildcard 0 meta mark set 0x%08" PRIx32
		" accept comment \"capture.%s: connections that ksplitd has\"\n",
		capture_tproxy_mark(chain->capture), name_of(chain));
}

/* The part of a capturing rule that says whom it is for. `cgroup` NULL: any. */
static void write_match(const struct chain *chain, sa_family_t family,
			const struct capture_ports *ports, const char *cgroup)
{
	const struct capture_match *match = &part_of(chain)->match;
	bool told;

	fputs("\t\t", chain->out);
	if (chain->kind == CAPTURE_INCOMING)
		fputs("fib daddr type local ", chain->out);
	else if (chain->kind == CAPTURE_FORWARDED)
		fputs("fib daddr type unicast ", chain->out);
	write_interfaces(chain, &match->interfaces);
	told = write_networks(chain, &match->sources, family, "saddr");
	if (write_networks(chain, &match->networks, family, "daddr"))
		told = true;
	if (!told)
		fprintf(chain->out, "meta nfproto %s ", family == AF_INET6 ? "ipv6" : "ipv4");
	write_ports(chain, ports);
	write_users(chain, &match->users);
	if (cgroup)
		write_cgroup(chain, cgroup);
	fputs("counter ", chain->out);
}

/* Where to: REDIRECT finds what listens on all addresses, another address has to be told. */
static void write_target(const struct chain *chain, sa_family_t family)
{
	const union capture_address *listener = rules_part_listener(part_of(chain), family);
	const char *name = family == AF_INET6 ? "ip6" : "ip";
	bool tproxy = part_of(chain)->method == CAPTURE_TPROXY;
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
static void write_capturing(const struct chain *chain, sa_family_t family)
{
	const struct capture_match *match = &part_of(chain)->match;
	size_t i = 0;

	if (!rules_part_captures(part_of(chain), family))
		return;
	do {
		write_match(chain, family, &match->ports,
			    match->cgroups.len ? match->cgroups.list[i] : NULL);
		write_target(chain, family);
	} while (++i < match->cgroups.len);
}

static void write_refusing(const struct chain *chain, sa_family_t family)
{
	static uint16_t https = 443;
	const struct capture_ports quic = {.list = &https, .len = 1};
	const struct capture_match *match = &part_of(chain)->match;
	size_t i = 0;

	if (!rules_part_captures(part_of(chain), family))
		return;
	do {
		write_match(chain, family, &quic,
			    match->cgroups.len ? match->cgroups.list[i] : NULL);
		fputs("reject with icmpx type port-unreachable comment \"capture.refuse_quic\"\n",
		      chain->out);
	} while (++i < match->cgroups.len);
}

/* What a reader might take for granted. */
static void write_gap(const struct chain *chain, sa_family_t family)
{
	const struct capture_part *part = part_of(chain);
	bool listens = rules_part_listener(part, family)->sa.sa_family == family;

	if (!rules_part_captures(part, family))
		fprintf(chain->out, "\t# IPv%d is not captured: %s.\n", family == AF_INET6 ? 6 : 4,
			listens ? "none of its networks is listed" : "no listener for it");
}

static void write_choosing(const struct chain *chain)
{
	write_exempt(chain);
	write_capturing(chain, AF_INET);
	write_capturing(chain, AF_INET6);
}

static void write_chain(const struct chain *chain)
{
	static const char *const what[] = {
		[CAPTURE_OUTGOING] = "calls of this host",
		[CAPTURE_INCOMING] = "calls from elsewhere to this host",
		[CAPTURE_FORWARDED] = "calls that pass this host",
	};
	const char *hook = chain->kind == CAPTURE_OUTGOING ? "output" : "prerouting";
	const struct capture_part *part = part_of(chain);

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
static void write_quic_chain(const struct chain *chain)
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

static void write_table(FILE *out, const struct capture *capture, bool owner, bool open)
{
	struct chain chain = {.out = out, .capture = capture, .open = open};

	fprintf(out,
		"# Made by ksplitd from the section \"capture\" of its configuration, "
		"see ksplit.json(5).\n"
		"table inet %s {\n",
		capture->table);
	fputs("\tcomment \"" CAPTURE_TABLE_COMMENT "\"\n", out);
	if (owner)
		fputs("\tflags owner;\n", out);
	for (size_t i = 0; i < CAPTURE_HOOK; i++) {
		chain.kind = (enum capture_kind)i;
		if (!part_of(&chain)->given)
			continue;
		chain.protocol = "tcp";
		write_chain(&chain);
		chain.protocol = "udp";
		if (!open && capture->refuse_quic &&
		    rules_part_has_port(&part_of(&chain)->match, 443))
			write_quic_chain(&chain);
	}
	fputs("}\n", out);
}

static int make(const struct capture *capture, bool owner, bool open, char **out)
{
	size_t len;
	FILE *stream;

	*out = NULL;
	if (!capture_has_rules(capture))
		return -ENOENT;
	stream = open_memstream(out, &len);
	if (!stream)
		return -errno;
	write_table(stream, capture, owner, open);
	if (fclose(stream) == 0)
		return 0;
	free(*out);
	*out = NULL;
	return -ENOMEM;
}

int rules_text_make(const struct capture *capture, bool owner, char **out)
{
	return make(capture, owner, false, out);
}

int rules_text_make_open(const struct capture *capture, bool owner, char **out)
{
	return make(capture, owner, true, out);
}
