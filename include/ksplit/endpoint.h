/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_ENDPOINT_H
#define KSPLIT_ENDPOINT_H

/*
 * What the sock_ops program sums up for every remote endpoint, in the pinned per-CPU map
 * "endpoints". Needs __u8 ... __u64: <linux/types.h> in user space, vmlinux.h in bpf/.
 */

#define KSPLIT_ENDPOINT_BITS	2   /* of the histograms, see <ksplit/histogram.h> */
/* Up to 2^28 us, four minutes; the last one holds what is above. */
#define KSPLIT_ENDPOINT_BUCKETS 112
#define KSPLIT_ENDPOINT_MAX	4096 /* entries of the map */

enum ksplit_endpoint_role {
	KSPLIT_ENDPOINT_CLIENT = 1, /* they connected to us: no port is kept */
	KSPLIT_ENDPOINT_ORIGIN = 2, /* we connected to them */
};

struct ksplit_endpoint_key {
	__u8 address[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
	__u16 port;	  /* host order; 0 for clients */
	__u8 role;	  /* enum ksplit_endpoint_role */
	__u8 reserved[5];
};

struct ksplit_endpoint {
	__u64 connecting;    /* connects begun */
	__u64 established;   /* connections made (connected or accepted) */
	__u64 failed;	     /* connects that came to nothing */
	__u64 closed;
	__u64 retransmits;   /* segments */
	__u64 rtt_samples;
	__u64 rtt_sum_us;
	__u64 rtt_min_us;    /* 0: none yet */
	__u64 rtt_max_us;
	__u64 connect_sum_us; /* from SYN to established */
	__u64 lifetime_sum_us; /* from established to closed */
	__u32 rtt_us[KSPLIT_ENDPOINT_BUCKETS];
	__u32 connect_us[KSPLIT_ENDPOINT_BUCKETS];
};

/*
 * What the daemon marks its sockets with, in the map "socket_times" (BPF_MAP_TYPE_SK_STORAGE), and
 * the program's own notes. A mark of zero but for the role; accepted sockets inherit their
 * listener's.
 */
struct ksplit_socket_times {
	__u64 connect_ns;     /* CLOCK_MONOTONIC; 0: not begun */
	__u64 established_ns; /* 0: not yet */
	__u32 rtt_samples;
	__u8 role; /* enum ksplit_endpoint_role */
	__u8 reserved[3];
};

/*
 * The connect hook keeps who made a connection, in the pinned LRU map "processes", by the socket's
 * cookie.
 */
#define KSPLIT_PROCESS_MAX 16384

struct ksplit_process {
	__u64 cgroup; /* id of the cgroup v2, the inode number of its folder */
	__u32 pid;    /* of the process, not the thread */
	__u32 uid;
	char command[16]; /* of the thread, ends with a NUL */
};

/*
 * Behind it a sock_ops program keeps the same in the pinned LRU map "callers", by the addresses of
 * the connection: the socket may be closed by the time that somebody asks.
 */
#define KSPLIT_CALLER_MAX 16384

struct ksplit_caller_key {
	__u64 netns;	      /* SO_NETNS_COOKIE; 0 where sock_ops is not told it, before 5.15 */
	__u8 source[16];      /* network order; IPv4 as ::ffff:a.b.c.d */
	__u8 destination[16]; /* as the caller knows it, before any rule redirects it */
	__u16 source_port;    /* host order */
	__u16 destination_port;
	__u8 reserved[4];
};

#endif
