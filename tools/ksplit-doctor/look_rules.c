// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iptables_rules.h"
#include "look.h"
#include "nft.h"
#include "program.h"
#include "ruleset.h"

#define SAVED_MAX (8 * 1024 * 1024)

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
		    (!lead->address || strcmp(lead->address, host) == 0))
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

/* Where the rule is, and how it is taken away. */
static void place_texts(const struct ruleset_lead *lead, char place[FINDING_SUBJECT],
			char mend[FINDING_MEND])
{
	snprintf(place, FINDING_SUBJECT, "table %.20s %.40s, chain %.40s", lead->family,
		 lead->table, lead->chain);
	if (strstr(lead->family, "tables"))
		snprintf(mend, FINDING_MEND,
			 "%.20s -t %.40s -S %.40s; then the same with -D in place of -A",
			 lead->family, lead->table, lead->chain);
	else
		snprintf(mend, FINDING_MEND,
			 "nft -a list chain %.20s %.100s %.100s; then nft delete rule ... handle N",
			 lead->family, lead->table, lead->chain);
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
	place_texts(lead, place, mend);
	search->told = true;
	if (ours && !settings->captures)
		look_tell(search->look, VERDICT_OK, place, NULL,
			  "leads %s to ksplit's port %u (%s)", ports, lead->target, lead->verb);
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

/* What iptables keeps, in nft's ruleset or in tables of its own. */
static const struct {
	const char *program; /* its name in what is told */
	const char *save;
	const char
		*names; /* where the kernel says that it has such tables; NULL: in nft's ruleset */
} savers[] = {
	{"iptables", "iptables-nft-save", NULL},
	{"ip6tables", "ip6tables-nft-save", NULL},
	{"iptables-legacy", "iptables-legacy-save", "/proc/net/ip_tables_names"},
	{"ip6tables-legacy", "ip6tables-legacy-save", "/proc/net/ip6_tables_names"},
};

#define SAVERS (sizeof(savers) / sizeof(savers[0]))

/* The rules as text. By themselves these programs would load modules where there are no tables. */
struct saved {
	char *text[SAVERS];
	bool missing[SAVERS];
};

static bool has_a_line(const char *path)
{
	FILE *file = fopen(path, "re");
	bool has = file && fgetc(file) != EOF;

	if (file)
		fclose(file);
	return has;
}

static void saved_read(struct saved *saved, const cJSON *root)
{
	bool beside_nft = ruleset_has_iptables(root);

	memset(saved, 0, sizeof(*saved));
	for (size_t i = 0; i < SAVERS; i++) {
		const char *const argv[] = {savers[i].save, NULL};

		if (savers[i].names ? has_a_line(savers[i].names) : beside_nft)
			saved->missing[i] = program_read(argv, SAVED_MAX, &saved->text[i]) != 0;
	}
}

/* One pass over all rules there are. */
static void walk_all(const cJSON *root, const struct saved *saved, ruleset_tell *tell,
		     struct search *search)
{
	char *copy;

	ruleset_walk(root, tell, search);
	for (size_t i = 0; i < SAVERS; i++) {
		copy = saved->text[i] ? strdup(saved->text[i]) : NULL;
		if (copy)
			iptables_rules_walk(savers[i].program, copy, tell, search);
		free(copy);
	}
}

static void tell_missing(struct search *search, const struct saved *saved)
{
	for (size_t i = 0; i < SAVERS; i++) {
		if (!saved->missing[i])
			continue;
		search->told = true;
		look_tell(search->look, VERDICT_NOT_TRIED, savers[i].program,
			  "apt-get install iptables",
			  "there are such rules, and no %s that lists them", savers[i].save);
	}
}

static void look_ruleset(struct look *look, const cJSON *root)
{
	const struct settings *settings = look->settings;
	struct search search = {.look = look};
	struct saved saved;

	saved_read(&saved, root);
	if (settings->captures) {
		memcpy(search.ports, settings->ports, sizeof(search.ports));
		search.ports_len = settings->ports_len;
	}
	walk_all(root, &saved, gather_ours, &search);
	if (!search.ports_len)
		search.ports[search.ports_len++] = (struct settings_ports){443, 443};
	walk_all(root, &saved, tell_lead, &search);
	tell_missing(&search, &saved);
	for (size_t i = 0; i < SAVERS; i++)
		free(saved.text[i]);
	if (waits_for_rules(settings) && !settings->captures && !settings->hooks &&
	    !search.found_ours)
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
