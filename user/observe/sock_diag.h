/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SOCK_DIAG_H
#define KSPLIT_OBSERVE_SOCK_DIAG_H

#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"

/* What the kernel says of one TCP socket (sock_diag(7), net/tls/tls_main.c tls_get_info). */
struct sock_diag_info {
	bool found;
	bool has_ulp;
	char ulp[16];		  /* "tls" */
	uint16_t tls_version;	  /* 0: not told */
	uint16_t tls_cipher;	  /* TLS_CIPHER_AES_GCM_128 ... of linux/tls.h */
	int tls_rxconf, tls_txconf; /* TLS_CONF_BASE 1, SW 2, HW 3; 0: not told */
	bool tls_rx_no_pad, tls_tx_zerocopy;
	struct tcp_info tcp;	  /* zero beyond what this kernel gives */
};

struct sock_diag; /* an open NETLINK_SOCK_DIAG socket; one thread at a time */

/* Caller owns *out. 0 or -errno (-EPROTONOSUPPORT: kernel without it). */
int sock_diag_open(struct sock_diag **out);
void sock_diag_close(struct sock_diag *diag);

/* Ask for one socket by its addresses (local, remote as that socket sees them). 0 with found false when there is none; -errno. */
int sock_diag_query(struct sock_diag *diag, const union conn_address *local,
		    const union conn_address *remote, struct sock_diag_info *out);

const char *sock_diag_tls_conf_name(int conf);	  /* "base", "sw", "hw", "none" */
const char *sock_diag_tls_cipher_name(uint16_t cipher); /* "AES-GCM-128" ... as ss(8) prints them */

#endif
