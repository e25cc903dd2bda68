// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer_lists.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/cgroup_unit.h"
#include "ksplit.skel.h"
#include "observe/cgroup.h"

#define IPV4_BITS 96 /* of a mapped address before the IPv4 address */

static void map_ipv4(const void *from, __u8 ip[16])
{
	memset(ip, 0, 16);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, from, 4);
}

void steer_pack_listener(const union capture_address *address, struct ksplit_steer_address *out)
{
	memset(out, 0, sizeof(*out));
	out->family = address->sa.sa_family;
	if (address->sa.sa_family == AF_INET) {
		struct in_addr in = address->in.sin_addr;

		if (in.s_addr == htonl(INADDR_ANY))
			in.s_addr = htonl(INADDR_LOOPBACK);
		map_ipv4(&in, out->ip);
		out->port = ntohs(address->in.sin_port);
	} else if (address->sa.sa_family == AF_INET6) {
		struct in6_addr in6 = address->in6.sin6_addr;

		if (IN6_IS_ADDR_UNSPECIFIED(&in6))
			in6 = in6addr_loopback;
		memcpy(out->ip, &in6, sizeof(in6));
		out->port = ntohs(address->in6.sin6_port);
	}
}

socklen_t steer_unpack(const struct ksplit_steer_address *address, struct sockaddr *out)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};

	memcpy(&in6.sin6_addr, address->ip, sizeof(in6.sin6_addr));
	if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memcpy(&in.sin_addr, address->ip + 12, sizeof(in.sin_addr));
	memcpy(out, &in, sizeof(in));
	return sizeof(in);
}

static int put(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

int steer_set(struct ksplit_bpf *skel, const struct ksplit_steer_settings *settings)
{
	__u32 only = 0;

	return put(skel->maps.steer_settings, &only, settings);
}

/* Both lists may name a port. */
static int add_port(struct ksplit_bpf *skel, __u16 port, __u8 bit)
{
	__u8 bits = 0;

	bpf_map_lookup_elem(bpf_map__fd(skel->maps.steer_ports), &port, &bits);
	bits |= bit;
	return put(skel->maps.steer_ports, &port, &bits);
}

static int add_ports(struct ksplit_bpf *skel, const struct capture_ports *ports, __u8 bit)
{
	int err = 0;

	for (size_t i = 0; i < ports->len && !err; i++)
		err = add_port(skel, ports->list[i], bit);
	return err;
}

static void pack_network(const struct capture_network *network, struct ksplit_steer_network *out)
{
	memset(out, 0, sizeof(*out));
	out->family = network->family;
	out->bits = KSPLIT_STEER_FAMILY_BITS + network->prefix;
	if (network->family == AF_INET) {
		map_ipv4(&network->address.in, out->ip);
		out->bits += IPV4_BITS;
	} else {
		memcpy(out->ip, &network->address.in6, sizeof(out->ip));
	}
}

static int add_network(const struct bpf_map *map, const struct capture_network *network)
{
	struct ksplit_steer_network key;
	__u8 value = 1;

	pack_network(network, &key);
	return put(map, &key, &value);
}

static int add_networks(const struct bpf_map *map, const struct capture_networks *networks)
{
	int err = 0;

	for (size_t i = 0; i < networks->len && !err; i++)
		err = add_network(map, &networks->list[i]);
	return err;
}

int steer_lists_fill(struct ksplit_bpf *skel, const struct capture_part *part)
{
	const struct capture_network all4 = {.family = AF_INET}, all6 = {.family = AF_INET6};
	const struct capture_users *users = &part->exempt.users;
	__u8 value = 1;
	int err = add_ports(skel, &part->match.ports, KSPLIT_STEER_TAKE);

	if (!err)
		err = add_ports(skel, &part->exempt.ports, KSPLIT_STEER_EXEMPT);
	if (!err)
		err = add_networks(skel->maps.steer_take, &part->match.networks);
	if (!err && !part->match.networks.len) {
		err = add_network(skel->maps.steer_take, &all4);
		err = err ? err : add_network(skel->maps.steer_take, &all6);
	}
	if (!err)
		err = add_networks(skel->maps.steer_exempt, &part->exempt.networks);
	for (size_t i = 0; i < users->len && !err; i++)
		err = put(skel->maps.steer_users, &users->list[i], &value);
	return err;
}

static int clear(const struct bpf_map *map)
{
	int fd = bpf_map__fd(map), err = 0;
	union {
		struct ksplit_steer_network network;
		__u64 cgroup;
		__u32 user;
		__u16 port;
	} key;

	while (!err && !bpf_map_get_next_key(fd, NULL, &key))
		if (bpf_map_delete_elem(fd, &key))
			err = -errno;
	return err;
}

int steer_lists_clear(struct ksplit_bpf *skel)
{
	const struct bpf_map *maps[] = {skel->maps.steer_ports, skel->maps.steer_take,
					skel->maps.steer_exempt, skel->maps.steer_users,
					skel->maps.steer_cgroups};
	int err = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && !err; i++)
		err = clear(maps[i]);
	return err;
}

/* What is gone stays in the map: a cgroup's number is not given again. */
static int exempt_cgroup(struct ksplit_bpf *skel, const char *mount, const char *path)
{
	char full[2 * PATH_MAX];
	__u8 value = 1;
	struct stat st;
	__u64 id;
	int err;

	snprintf(full, sizeof(full), "%s/%s", mount, path);
	if (stat(full, &st))
		return 0;
	id = st.st_ino;
	err = put(skel->maps.steer_cgroups, &id, &value);
	return err;
}

int steer_lists_exempt_cgroups(struct ksplit_bpf *skel, const struct capture_match *exempt)
{
	char mount[PATH_MAX], path[PATH_MAX];
	int err = 0;

	if (!exempt->cgroups.len && !exempt->units.len)
		return 0;
	err = cgroup_find_mount(mount);
	for (size_t i = 0; i < exempt->cgroups.len && !err; i++)
		err = exempt_cgroup(skel, mount, exempt->cgroups.list[i]);
	for (size_t i = 0; i < exempt->units.len && !err; i++)
		if (cgroup_unit_find(mount, exempt->units.list[i], path) == 0)
			err = exempt_cgroup(skel, mount, path);
	return err;
}

int steer_lists_take(struct ksplit_bpf *skel, uint16_t port, const struct capture_network *network,
		     bool take)
{
	struct ksplit_steer_network key;
	int err;

	if (take) {
		err = add_port(skel, port, KSPLIT_STEER_TAKE);
		return err ? err : add_network(skel->maps.steer_take, network);
	}
	pack_network(network, &key);
	bpf_map_delete_elem(bpf_map__fd(skel->maps.steer_ports), &port);
	bpf_map_delete_elem(bpf_map__fd(skel->maps.steer_take), &key);
	return 0;
}
