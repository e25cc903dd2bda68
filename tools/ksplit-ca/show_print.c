// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include <ksplit/text.h>

#include "constraints.h"
#include "say.h"
#include "show.h"

static const char *state(enum store_result result)
{
	return result == STORE_DONE ? "installed" : result == STORE_SO ? "absent" : "unknown";
}

static void say_subtrees(const char *label, const STACK_OF(GENERAL_SUBTREE) * list)
{
	char text[320];
	int i;

	for (i = 0; i < sk_GENERAL_SUBTREE_num(list); i++)
		say("%-13s %s", i ? "" : label,
		    constraints_text(sk_GENERAL_SUBTREE_value(list, i), text, sizeof(text)));
}

void show_print_text(const struct show *show)
{
	size_t i;

	say("%-13s %s", "Certificate", show->cert_path);
	say("%-13s %s", "Subject", show->subject);
	say("%-13s %s", "SHA-256", show->fingerprint);
	say("%-13s %s", "Serial", show->serial);
	say("%-13s %s", "Key type", show->key_type);
	if (show->days_left >= 0)
		say("%-13s %s to %s, %ld days left", "Valid", show->from, show->until,
		    show->days_left);
	else
		say("%-13s %s to %s, expired", "Valid", show->from, show->until);
	if (show->path_length >= 0)
		say("%-13s %ld", "Path length", show->path_length);
	if (show->constraints) {
		say_subtrees("Permitted", show->constraints->permittedSubtrees);
		say_subtrees("Excluded", show->constraints->excludedSubtrees);
	} else {
		say("%-13s any name: it has no name constraints", "Permitted");
	}
	say("%-13s %s: %s", "Key", show->key_path, show->key_state);
	for (i = 0; i < show->store_count; i++)
		say("%-13s %-7s %s: %s", i ? "" : "Stores", show->stores[i].kind,
		    show->stores[i].where, state(show->stores[i].result));
	for (i = 0; i < show->warning_count; i++)
		say("WARNING       %s", show->warnings[i]);
}

/* RFC 8259 7; what is not printable UTF-8 comes as \xNN, itself escaped. */
static void put_string(const char *text)
{
	char safe[2048];
	const char *at;

	ksplit_text_escape(safe, sizeof(safe), text, strlen(text));
	putchar('"');
	for (at = safe; *at; at++) {
		if (*at == '"' || *at == '\\')
			putchar('\\');
		putchar(*at);
	}
	putchar('"');
}

static void put_member(const char *name, const char *value)
{
	printf("  \"%s\": ", name);
	put_string(value);
	puts(",");
}

static void put_subtrees(const char *name, const STACK_OF(GENERAL_SUBTREE) * list)
{
	char text[320];
	int i;

	printf("  \"%s\": [", name);
	for (i = 0; i < sk_GENERAL_SUBTREE_num(list); i++) {
		fputs(i ? ", " : "", stdout);
		put_string(constraints_text(sk_GENERAL_SUBTREE_value(list, i), text, sizeof(text)));
	}
	puts("],");
}

static void put_stores(const struct show *show)
{
	size_t i;

	fputs("  \"stores\": [", stdout);
	for (i = 0; i < show->store_count; i++) {
		fputs(i ? ",\n    {\"kind\": " : "\n    {\"kind\": ", stdout);
		put_string(show->stores[i].kind);
		fputs(", \"where\": ", stdout);
		put_string(show->stores[i].where);
		fputs(", \"state\": ", stdout);
		put_string(state(show->stores[i].result));
		putchar('}');
	}
	puts("],");
}

static void put_warnings(const struct show *show)
{
	size_t i;

	fputs("  \"warnings\": [", stdout);
	for (i = 0; i < show->warning_count; i++) {
		fputs(i ? ",\n    " : "\n    ", stdout);
		put_string(show->warnings[i]);
	}
	puts("]");
}

void show_print_json(const struct show *show)
{
	puts("{");
	put_member("certificate", show->cert_path);
	put_member("subject", show->subject);
	put_member("sha256", show->fingerprint);
	put_member("serial", show->serial);
	put_member("key_type", show->key_type);
	put_member("not_before", show->from);
	put_member("not_after", show->until);
	printf("  \"days_left\": %ld,\n", show->days_left);
	if (show->path_length >= 0)
		printf("  \"path_length\": %ld,\n", show->path_length);
	put_subtrees("permitted", show->constraints ? show->constraints->permittedSubtrees : NULL);
	put_subtrees("excluded", show->constraints ? show->constraints->excludedSubtrees : NULL);
	put_member("key", show->key_path);
	put_member("key_state", show->key_state);
	put_stores(show);
	put_warnings(show);
	puts("}");
}
