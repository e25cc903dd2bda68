// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "nft.h"
#include "ruleset.h"

#define LEGACY_NAMES "/proc/net/ip_tables_names"

/* What one pass over the rules is after. */
struct search {
	struct look *look;
	struct settings_ports ports[SETTINGS_PORTS]; /* whose connections ksplit is to get */
	size_t ports_len;
	bool found_ours, told;
};

/* Does the rule lead to a listener that asks the kernel where a connection was to go? */
static bool leads_to_us(const struct settings *settings, const struct ruleset_lead *lead)
{
	char host[SETTINGS_TEXT];
	uint16_t port;

	for (size_t i = 0; i < settings->listeners_len; i++) {
		const struct settings_listener *listener = &settings->listeners[i];

		if (settings_split(listener->listen, host, &port) && port == lead->target &&
		    lead->target)
			return true;
	}
	return false;
}

static bool is_own_table(const struct settings *settings, const struct ruleset_lead *lead)
{
	return strcmp(lead->family, "inet") == 0 && strcmp(lead->table, settings->table) == 0;
}

/* "port 443", "ports 443, 8000-8999", "any port" */
static void ports_text(const struct settings_ports *ports, size_t count, char *text, size_t size)
{
	size_t len;

	snprintf(text, size, count ? count > 1 ? "ports" : "port" : "any port");
	for (size_t i = 0; i < count; i++) {
		len = strlen(text);
		if (ports[i].first == ports[i].last)
			snprintf(text + len, size - len, "%s %u", i ? "," : "", ports[i].first);
		else
			snprintf(text + len, size - len, "%s %u-%u", i ? "," : "", ports[i].first,
				 ports[i].last);
	}
}

/* Without rules of ksplit's own: the ports that an administrator's rules lead to it. */
static void gather_ours(void *context, const struct ruleset_lead *lead)
{
	struct search *search = context;
	const struct settings *settings = search->look->settings;

	if (is_own_table(settings, lead) || !leads_to_us(settings, lead))
		return;
	search->found_ours = true;
	if (settings->captures)
		return;
	for (size_t i = 0; i < lead->ports_len && search->ports_len < SETTINGS_PORTS; i++)
		search->ports[search->ports_len++] = lead->ports[i];
}

static void tell_lead(void *context, const struct ruleset_lead *lead)
{
	struct search *search = context;
	const struct settings *settings = search->look->settings;
	bool ours = leads_to_us(settings, lead);
	char ports[160], place[FINDING_SUBJECT], mend[FINDING_MEND];

	if (is_own_table(settings, lead))
		return;
	if (!(ours && !settings->captures) &&
	    !ruleset_meets(lead, search->ports, search->ports_len))
		return;
	ports_text(lead->ports, lead->ports_len, ports, sizeof(ports));
	snprintf(place, sizeof(place), "table %.20s %.40s, chain %.40s", lead->family, lead->table,
		 lead->chain);
	snprintf(mend, sizeof(mend),
		 "nft -a list chain %.20s %.100s %.100s; then nft delete rule ... handle N, or "
		 "exempt it there",
		 lead->family, lead->table, lead->chain);
	search->told = true;
	if (ours && !settings->captures)
		look_tell(search->look, VERDICT_OK, place, NULL, "leads %s to ksplit's port %u (%s)",
			  ports, lead->target, lead->verb);
	else if (ours)
		look_tell(search->look, VERDICT_WARN, place, mend,
			  "leads %s to ksplit's port %u, too (%s): ksplit's own rules do that",
			  ports, lead->target, lead->verb);
	else if (lead->target)
		look_tell(search->look, VERDICT_WARN, place, mend,
			  "takes %s to port %u (%s): these connections may never come to ksplit",
			  ports, lead->target, lead->verb);
	else
		look_tell(search->look, VERDICT_WARN, place, mend,
			  "takes %s elsewhere (%s): these connections may never come to ksplit",
			  ports, lead->verb);
}

static bool waits_for_rules(const struct settings *settings)
{
	for (size_t i = 0; i < settings->listeners_len; i++) {
		if (strcmp(settings->listeners[i].to, "original") == 0 ||
		    strcmp(settings->listeners[i].to, "tproxy") == 0)
			return true;
	}
	return false;
}

/* Rules of the old iptables are not in nft's ruleset. */
static void look_legacy(struct search *search)
{
	FILE *file = fopen(LEGACY_NAMES, "re");
	char line[64];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "nat") != 0 && strcmp(line, "mangle") != 0)
			continue;
		search->told = true;
		look_tell(search->look, VERDICT_NOT_TRIED, line,
			  "iptables-legacy-save | grep -E 'REDIRECT|DNAT|TPROXY'",
			  "this table of the old iptables is loaded, whose rules are not seen here");
	}
	if (file)
		fclose(file);
}

static void look_ruleset(struct look *look, const cJSON *root)
{
	const struct settings *settings = look->settings;
	struct search search = {.look = look};

	if (settings->captures) {
		memcpy(search.ports, settings->ports, sizeof(search.ports));
		search.ports_len = settings->ports_len;
	}
	ruleset_walk(root, gather_ours, &search);
	if (!search.ports_len)
		search.ports[search.ports_len++] = (struct settings_ports){443, 443};
	ruleset_walk(root, tell_lead, &search);
	look_legacy(&search);
	if (waits_for_rules(settings) && !settings->captures && !search.found_ours)
		look_tell(look, VERDICT_WARN, NULL,
			  "a rule of your own, or \"capture\" (ksplit.json(5))",
			  "no rule leads connections to the listeners whose \"to\" is original or "
			  "tproxy");
	else if (!search.told)
		look_tell(look, VERDICT_OK, NULL, NULL,
			  "nobody else's rule leads these connections elsewhere");
}

void look_rules(struct look *look)
{
	char *text = NULL, error[256] = "";
	int rc = nft_run("list ruleset", true, &text, error, sizeof(error));
	cJSON *root = rc ? NULL : cJSON_Parse(text);

	if (rc == -EPERM)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "needs root: to list the rules");
	else if (rc)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "the rules cannot be listed: %s",
			  *error ? error : strerror(-rc));
	else if (*text && !root)
		look_tell(look, VERDICT_NOT_TRIED, NULL, "nft -j list ruleset",
			  "the list of rules is not understood");
	else
		look_ruleset(look, root);
	cJSON_Delete(root);
	free(text);
}
