/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SOCK_DIAG_H
#define KSPLIT_OBSERVE_SOCK_DIAG_H

/* Not <netinet/tcp.h>, whose struct tcp_info ends early; a file cannot include both. */
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"

/* What the kernel says of one TCP socket (sock_diag(7), net/tls/tls_main.c tls_get_info). */
struct sock_diag_info {
	bool found;
	uint64_t cookie; /* as bpf_get_socket_cookie tells it (SO_COOKIE, socket(7)) */
	uint32_t inode;	 /* as in the link /proc/PID/fd/N, "socket:[inode]"; 0: no process has it */
	uint32_t uid;	 /* of who made the socket */
	uint64_t cgroup; /* id of the cgroup v2 it was made in (since 5.8); 0: not told */
	bool has_ulp;
	char ulp[16];               /* "tls" */
	uint16_t tls_version;       /* 0: not told */
	uint16_t tls_cipher;        /* TLS_CIPHER_AES_GCM_128 ... of linux/tls.h; 0: not told */
	int tls_rxconf, tls_txconf; /* TLS_CONF_BASE 1, SW 2, HW 3, HW_RECORD 4; 0: not told */
	bool tls_rx_no_pad, tls_tx_zerocopy;
	struct tcp_info tcp; /* zero beyond what this kernel gives */
};

struct sock_diag; /* an open NETLINK_SOCK_DIAG socket; one thread at a time */

/*
 * Open the socket; the caller owns *out and closes it with sock_diag_close (NULL is fine there).
 * 0 or -errno (-EPROTONOSUPPORT: kernel without it, -ENOMEM, -EMFILE ...).
 */
int sock_diag_open(struct sock_diag **out);
void sock_diag_close(struct sock_diag *diag);

/*
 * Ask for one connected socket by its addresses: local and remote as that socket sees them,
 * v4-mapped ones included, in the network namespace of sock_diag_open. What the TLS ULP says beyond
 * its name needs CAP_NET_ADMIN. Listening sockets and those in TIME_WAIT do not count. 0 with found
 * false when there is none (and when the kernel has no tcp_diag), or -errno: -EAFNOSUPPORT
 * (addresses not both IPv4 or both IPv6), -EPROTO (answer not understood) ...
 */
int sock_diag_query(struct sock_diag *diag, const union conn_address *local,
		    const union conn_address *remote, struct sock_diag_info *out);

/* "none" (not told), "base" (ULP without keys), "sw", "hw", "hw-record", "unknown". */
const char *sock_diag_tls_conf_name(int conf);

/* "AES-GCM-128", "AES-GCM-256", "CHACHA20-POLY1305" ...; "none" for 0; "unknown". */
const char *sock_diag_tls_cipher_name(uint16_t cipher);

#endif
