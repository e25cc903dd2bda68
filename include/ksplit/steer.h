/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STEER_H
#define KSPLIT_STEER_H

/*
 * What the capturing connect hook (bpf/steer.bpf.c) is told by the daemon, and what it keeps for
 * it. Needs __u8 ... __u64: <linux/types.h> in user space, vmlinux.h in bpf/.
 */

#define KSPLIT_STEER_PORTS     65536
#define KSPLIT_STEER_NETWORKS  1024
#define KSPLIT_STEER_USERS     1024
#define KSPLIT_STEER_CGROUPS   4096
#define KSPLIT_STEER_CALLS     65536 /* that the daemon has not asked for yet */
#define KSPLIT_STEER_QUIC_PORT 443

/* IPv4 as ::ffff:a.b.c.d, all in network order but for the port. */
struct ksplit_steer_address {
	__u8 ip[16];
	__u16 port; /* host order */
	__u16 family; /* AF_INET, AF_INET6 (also for mapped addresses of an IPv6 socket); 0: none */
};

/* The one entry of the array "steer_settings". */
struct ksplit_steer_settings {
	/* Family 0: calls of that kind go direct. */
	struct ksplit_steer_address listener4, listener6;
	__u64 learn_cookie; /* a socket of the daemon's, whose connect(2) tells who the daemon is */
	__u64 patience_ns;  /* longest silence of the daemon's heart */
	__u32 mark;	    /* SO_MARK of sockets that are left alone; 0: none */
	__u8 on;	    /* 0: nothing is steered and nothing refused */
	__u8 refuse_quic;
	__u8 any_port;	    /* all but the exempt ones */
	__u8 reserved;
};

/* The one entry of the array "steer_self", written by the program but for the heart. */
struct ksplit_steer_self {
	__u64 netns; /* cookie of the daemon's network namespace */
	__u64 learned; /* 1: this entry is filled */
	__u32 pid;   /* the daemon's, as the first PID namespace has it */
	__u32 reserved;
};

/* Values of "steer_ports" (__u16, host order), and of the longest prefix tries below. */
#define KSPLIT_STEER_TAKE   1
#define KSPLIT_STEER_EXEMPT 2

/*
 * Key of the tries "steer_take" and "steer_exempt". The family is part of the prefix: ::/0 is IPv6
 * alone.
 */
struct ksplit_steer_network {
	__u32 bits;   /* 32 for the family, then those of the network: IPv4 has 96 more */
	__u32 family; /* AF_INET, AF_INET6 */
	__u8 ip[16];
};
#define KSPLIT_STEER_FAMILY_BITS  32
#define KSPLIT_STEER_NETWORK_BITS 160 /* of one address */

/*
 * Why a TCP connect of a chosen cgroup was steered or not: index of the per-CPU array
 * "steer_counts".
 */
enum ksplit_steer_count {
	KSPLIT_STEER_STEERED,
	KSPLIT_STEER_OTHER,	   /* port or network that was not asked for */
	KSPLIT_STEER_IS_EXEMPT,
	KSPLIT_STEER_OWN,	   /* the daemon's, or marked as such */
	KSPLIT_STEER_OTHER_NETNS,  /* loopback is not the daemon's there */
	KSPLIT_STEER_BOUND,	   /* to a device (SO_BINDTODEVICE): loopback cannot be reached */
	KSPLIT_STEER_NO_LISTENER,  /* the daemon does not listen (any more), or not so */
	KSPLIT_STEER_STALLED,	   /* the daemon's heart does not beat */
	KSPLIT_STEER_NO_MEMORY,
	KSPLIT_STEER_QUIC_REFUSED, /* UDP */
	KSPLIT_STEER_COUNTS
};

#endif
