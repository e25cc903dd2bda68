// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int capture_init(struct capture *capture)
{
	memset(capture, 0, sizeof(*capture));
	capture->mark = CAPTURE_MARK;
	capture->watchdog = CAPTURE_WATCHDOG;
	capture->table = strdup(CAPTURE_TABLE);
	capture->cgroup_folder = strdup("");
	return capture->table && capture->cgroup_folder ? 0 : -ENOMEM;
}

static void free_names(struct capture_names *names)
{
	for (size_t i = 0; i < names->len; i++)
		free(names->list[i]);
	free(names->list);
}

static void free_match(struct capture_match *match)
{
	free(match->ports.list);
	free(match->networks.list);
	free(match->sources.list);
	free_names(&match->interfaces);
	free(match->users.list);
	free_names(&match->cgroups);
	free_names(&match->units);
}

void capture_free(struct capture *capture)
{
	for (size_t i = 0; i < CAPTURE_KINDS; i++) {
		free_match(&capture->parts[i].match);
		free_match(&capture->parts[i].exempt);
	}
	free(capture->own_ports.list);
	free(capture->table);
	free(capture->cgroup_folder);
	memset(capture, 0, sizeof(*capture));
}

bool capture_has_rules(const struct capture *capture)
{
	return capture->parts[CAPTURE_OUTGOING].given || capture->parts[CAPTURE_INCOMING].given ||
	       capture->parts[CAPTURE_FORWARDED].given;
}

bool capture_has_hook(const struct capture *capture)
{
	return capture->parts[CAPTURE_HOOK].given;
}

uint32_t capture_own_mark(const struct capture *capture)
{
	return capture_has_rules(capture) || capture_has_hook(capture) ? capture->mark : 0;
}

uint32_t capture_tproxy_mark(const struct capture *capture)
{
	return capture->mark + 1;
}
