// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/rules_source.h"

#include <inttypes.h>

/* Of the 16 bits of a zone; 0 is everybody's. "ks" like the mark, but no part of it. */
#define ZONE 27507

#define COMMENT "client_address: no mistaking for the client's own calls"

bool rules_source_needed(const struct capture *capture)
{
	for (size_t i = 0; i < CAPTURE_HOOK; i++)
		if (capture->parts[i].given && capture->parts[i].transparent)
			return true;
	return false;
}

void rules_source_write_nft(FILE *out, const struct capture *capture)
{
	if (!rules_source_needed(capture))
		return;
	fprintf(out,
		"\n\t# client_address: ksplitd's calls that have a client's address\n"
		"\tchain source {\n"
		"\t\ttype filter hook output priority raw; policy accept;\n"
		"\t\tmeta mark 0x%08" PRIx32
		" meta l4proto tcp fib saddr type != local ct original zone set %u "
		"comment \"" COMMENT "\"\n"
		"\t}\n",
		capture->mark, ZONE);
}

void rules_source_write_iptables(FILE *out, const struct capture *capture, sa_family_t family,
				 const char *command)
{
	fprintf(out,
		"%s -t raw %s OUTPUT -p tcp -m mark --mark 0x%" PRIx32
		" -m addrtype ! --src-type LOCAL -m comment --comment \"" COMMENT
		"\" -j CT --zone-orig %u\n",
		family == AF_INET6 ? "ip6tables" : "iptables", command, capture->mark, ZONE);
}
