// SPDX-License-Identifier: GPL-2.0-or-later
/* Where head events go. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <ksplit/head_event.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20); /* as configured: sampling.ring_bytes */
} heads SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
