// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_keep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_setting.h"

/* Keys of the file, and sections; docs/operations.md has the same table with the reasons. */
static const char *const fixed[] = {
	"access_log",
	"access_log_requests",
	"control",
	"foreground",
	"ktls",
	"limits.handshakes",
	"limits.learned_names",
	"limits.learned_pass",
	"limits.max_connections",
	"limits.memory",
	"metrics.",
	"relay",
	"sampler",
	"sampling.",
	"sessions.upstream.cache",
	"user",
	"workers",
};

static bool is_fixed(const char *key)
{
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		const size_t len = strlen(fixed[i]);

		if (fixed[i][len - 1] == '.' ? !strncmp(key, fixed[i], len)
					     : !strcmp(key, fixed[i]))
			return true;
	}
	return false;
}

struct names {
	char *text;
	size_t len;
};

/* "..." stands for all that have no room. */
static void add_name(const struct names *names, const char *name)
{
	const size_t used = strlen(names->text), rest = names->len - used;
	const char *separator = used ? ", " : "";

	if (used >= 3 && !strcmp(names->text + used - 3, "..."))
		return;
	if (strlen(separator) + strlen(name) + sizeof(", ...") <= rest)
		snprintf(names->text + used, rest, "%s%s", separator, name);
	else if (strlen(separator) + sizeof("...") <= rest)
		snprintf(names->text + used, rest, "%s...", separator);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int keep_text(char **next, const char *now)
{
	char *copy = now ? strdup(now) : NULL;

	if (now && !copy)
		return -ENOMEM;
	free(*next);
	*next = copy;
	return 0;
}

/* 1: it differed. */
static int keep_setting(const struct config_setting *setting, struct config *next,
			const struct config *now)
{
	char *place = (char *)next + setting->offset;
	const char *from = (const char *)now + setting->offset;
	size_t size = sizeof(uint32_t);

	if (setting->type == SETTING_TEXT || setting->type == SETTING_CHOICE_TEXT) {
		if (same_text(*(char **)(void *)place, *(char *const *)(const void *)from))
			return 0;
		return keep_text((char **)(void *)place, *(char *const *)(const void *)from)
			       ? -ENOMEM
			       : 1;
	}
	if (setting->type == SETTING_BOOL)
		size = sizeof(bool);
	if (!memcmp(place, from, size))
		return 0;
	memcpy(place, from, size);
	return 1;
}

/* "ksplit_2" is what an upgrade makes of "ksplit" (capturing_table.h). */
static bool is_made_of(const char *table, const char *name)
{
	const size_t len = strlen(name);

	return !strncmp(table, name, len) &&
	       (!table[len] || (table[len] == '_' && table[len + 1] >= '2' &&
				table[len + 1] <= '9' && !table[len + 2]));
}

/*
 * These belong to what outlives a reload: sockets of ours, the keeper and its table. Where nothing
 * is captured there is none of it.
 */
static int keep_capture(struct capture *next, const struct capture *now, const struct names *names)
{
	const bool told = capture_has_rules(next) || capture_has_hook(next);

	if (!capture_has_rules(now) && !capture_has_hook(now))
		return 0;
	if (told && next->mark != now->mark)
		add_name(names, "capture.mark");
	if (told && next->watchdog != now->watchdog)
		add_name(names, "capture.watchdog");
	if (told && !is_made_of(now->table, next->table))
		add_name(names, "capture.table");
	next->mark = now->mark;
	next->watchdog = now->watchdog;
	return keep_text(&next->table, now->table);
}

int config_keep_fixed(struct config *next, const struct config *now, char *kept, size_t kept_len)
{
	const struct names names = {.text = kept, .len = kept_len};

	kept[0] = '\0';
	for (const struct config_setting *s = config_settings; s->key; s++) {
		int rc = is_fixed(s->key) ? keep_setting(s, next, now) : 0;

		if (rc < 0)
			return rc;
		if (rc)
			add_name(&names, s->key);
	}
	return keep_capture(&next->capture, &now->capture, &names);
}
