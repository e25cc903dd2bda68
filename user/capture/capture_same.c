// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/capture_same.h"

#include <string.h>

static bool same_ports(const struct capture_ports *a, const struct capture_ports *b)
{
	return a->len == b->len &&
	       (!a->len || !memcmp(a->list, b->list, a->len * sizeof(*a->list)));
}

static bool same_users(const struct capture_users *a, const struct capture_users *b)
{
	return a->len == b->len &&
	       (!a->len || !memcmp(a->list, b->list, a->len * sizeof(*a->list)));
}

static bool same_network(const struct capture_network *a, const struct capture_network *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       !memcmp(&a->address, &b->address,
		       a->family == AF_INET6 ? sizeof(a->address.in6) : sizeof(a->address.in));
}

static bool same_networks(const struct capture_networks *a, const struct capture_networks *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = same_network(&a->list[i], &b->list[i]);
	return same;
}

static bool same_names(const struct capture_names *a, const struct capture_names *b)
{
	bool same = a->len == b->len;

	for (size_t i = 0; same && i < a->len; i++)
		same = !strcmp(a->list[i], b->list[i]);
	return same;
}

static bool same_match(const struct capture_match *a, const struct capture_match *b)
{
	return same_ports(&a->ports, &b->ports) && same_networks(&a->networks, &b->networks) &&
	       same_networks(&a->sources, &b->sources) &&
	       same_names(&a->interfaces, &b->interfaces) && same_users(&a->users, &b->users) &&
	       same_names(&a->cgroups, &b->cgroups) && same_names(&a->units, &b->units);
}

static bool same_part(const struct capture_part *a, const struct capture_part *b)
{
	if (!a->given || !b->given)
		return a->given == b->given;
	return same_match(&a->match, &b->match) && same_match(&a->exempt, &b->exempt) &&
	       a->method == b->method && !memcmp(&a->listener, &b->listener, sizeof(a->listener)) &&
	       !memcmp(&a->listener6, &b->listener6, sizeof(a->listener6));
}

static bool same_conditions(const struct capture *a, const struct capture *b)
{
	return a->refuse_quic == b->refuse_quic && a->mark == b->mark && a->watchdog == b->watchdog;
}

bool capture_same_hook(const struct capture *a, const struct capture *b)
{
	if (!capture_has_hook(a) && !capture_has_hook(b))
		return true;
	return same_conditions(a, b) && same_part(&a->parts[CAPTURE_HOOK], &b->parts[CAPTURE_HOOK]);
}

bool capture_same_rules(const struct capture *a, const struct capture *b)
{
	bool same = true;

	if (!capture_has_rules(a) && !capture_has_rules(b))
		return true;
	for (size_t i = 0; same && i < CAPTURE_HOOK; i++)
		same = same_part(&a->parts[i], &b->parts[i]);
	return same && same_conditions(a, b) && !strcmp(a->table, b->table) &&
	       same_ports(&a->own_ports, &b->own_ports) &&
	       !strcmp(a->cgroup_folder, b->cgroup_folder);
}
