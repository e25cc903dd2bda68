/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BPF_STEER_MAPS_H
#define KSPLIT_BPF_STEER_MAPS_H

/* Maps of the capturing connect hook; after vmlinux.h and bpf_helpers.h. */

#include <ksplit/endpoint.h>
#include <ksplit/steer.h>

/* A steered socket's own notes; they go with it. */
struct steer_socket {
	struct ksplit_steer_address original;
	struct ksplit_caller_key key; /* source_port 0: not connecting yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ksplit_steer_settings);
} steer_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ksplit_steer_self);
} steer_self SEC(".maps");

/* CLOCK_MONOTONIC in ns, when the daemon was last known to work. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} steer_beat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KSPLIT_STEER_PORTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u16);
	__type(value, __u8);
} steer_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, KSPLIT_STEER_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ksplit_steer_network);
	__type(value, __u8);
} steer_take SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, KSPLIT_STEER_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ksplit_steer_network);
	__type(value, __u8);
} steer_exempt SEC(".maps");

/* Users, and cgroups by their ids, that are exempt. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KSPLIT_STEER_USERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} steer_users SEC(".maps");

struct {
	/* Those of services that were started again go by age. */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KSPLIT_STEER_CGROUPS);
	__type(key, __u64);
	__type(value, __u8);
} steer_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct steer_socket);
} steer_sockets SEC(".maps");

/*
 * Where each steered connection was meant to go, for the daemon, which takes the entry out. LRU: a
 * connection that the daemon never sees cannot fill it up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KSPLIT_STEER_CALLS);
	__type(key, struct ksplit_caller_key);
	__type(value, struct ksplit_steer_address);
} steer_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KSPLIT_STEER_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} steer_counts SEC(".maps");

#endif
