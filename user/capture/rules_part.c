// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/rules_part.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int rules_part_make(const struct capture *capture, rules_part_writer *write, const void *ctx,
		    char **out)
{
	size_t len;
	FILE *stream;

	*out = NULL;
	if (!capture_has_rules(capture))
		return -ENOENT;
	stream = open_memstream(out, &len);
	if (!stream)
		return -errno;
	write(stream, capture, ctx);
	if (fclose(stream) == 0)
		return 0;
	free(*out);
	*out = NULL;
	return -ENOMEM;
}

const char *rules_part_name(enum capture_kind kind)
{
	static const char *const names[CAPTURE_KINDS] = {
		[CAPTURE_OUTGOING] = "outgoing",
		[CAPTURE_INCOMING] = "incoming",
		[CAPTURE_FORWARDED] = "forwarded",
		[CAPTURE_HOOK] = "hook",
	};

	return names[kind];
}

size_t rules_part_count(const struct capture_networks *networks, sa_family_t family)
{
	size_t count = 0;

	for (size_t i = 0; i < networks->len; i++)
		count += networks->list[i].family == family;
	return count;
}

bool rules_part_is_all(const struct capture_networks *networks, sa_family_t family)
{
	for (size_t i = 0; i < networks->len; i++) {
		if (networks->list[i].family == family && networks->list[i].prefix == 0)
			return true;
	}
	return false;
}

const union capture_address *rules_part_listener(const struct capture_part *part,
						 sa_family_t family)
{
	return family == AF_INET6 ? &part->listener6 : &part->listener;
}

bool rules_part_captures(const struct capture_part *part, sa_family_t family)
{
	const struct capture_match *match = &part->match;

	return rules_part_listener(part, family)->sa.sa_family == family &&
	       (!match->networks.len || rules_part_count(&match->networks, family)) &&
	       (!match->sources.len || rules_part_count(&match->sources, family));
}

bool rules_part_has_port(const struct capture_match *match, uint16_t port)
{
	for (size_t i = 0; i < match->ports.len; i++) {
		if (match->ports.list[i] == port)
			return true;
	}
	return false;
}

void rules_part_print_network(const struct capture_network *network, char buf[RULES_PART_NETWORK])
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(network->family, &network->address, address, sizeof(address));
	if (network->prefix == (network->family == AF_INET6 ? 128 : 32))
		snprintf(buf, RULES_PART_NETWORK, "%s", address);
	else
		snprintf(buf, RULES_PART_NETWORK, "%s/%u", address, network->prefix);
}

void rules_part_print_address(const union capture_address *listener, char buf[RULES_PART_ADDRESS])
{
	char address[INET6_ADDRSTRLEN] = "";

	if (listener->sa.sa_family != AF_INET6) {
		inet_ntop(AF_INET, &listener->in.sin_addr, buf, RULES_PART_ADDRESS);
		return;
	}
	inet_ntop(AF_INET6, &listener->in6.sin6_addr, address, sizeof(address));
	snprintf(buf, RULES_PART_ADDRESS, "[%s]", address);
}

uint16_t rules_part_port(const union capture_address *listener)
{
	return ntohs(listener->sa.sa_family == AF_INET6 ? listener->in6.sin6_port
							: listener->in.sin_port);
}

bool rules_part_is_wildcard(const union capture_address *listener)
{
	return listener->sa.sa_family == AF_INET6
		       ? IN6_IS_ADDR_UNSPECIFIED(&listener->in6.sin6_addr)
		       : listener->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

void rules_part_write_routing(FILE *out, const struct capture *capture, const char *prefix)
{
	const struct capture_part *part = &capture->parts[CAPTURE_FORWARDED];
	uint32_t mark = capture_tproxy_mark(capture);

	fprintf(out, "%sIt works with this routing alone, which ksplitd does not set:\n", prefix);
	if (part->listener.sa.sa_family)
		fprintf(out,
			"%s  ip rule add fwmark 0x%" PRIx32 " lookup %d\n"
			"%s  ip route add local 0.0.0.0/0 dev lo table %d\n",
			prefix, mark, CAPTURE_ROUTES, prefix, CAPTURE_ROUTES);
	if (part->listener6.sa.sa_family)
		fprintf(out,
			"%s  ip -6 rule add fwmark 0x%" PRIx32 " lookup %d\n"
			"%s  ip -6 route add local ::/0 dev lo table %d\n",
			prefix, mark, CAPTURE_ROUTES, prefix, CAPTURE_ROUTES);
}
