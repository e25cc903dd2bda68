/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_TRY_H
#define KSPLIT_DOCTOR_TRY_H

#include "check.h"

/* Attempts (check.h), by the file that they are in. Each is told by its line in checks.c. */

/* try_ktls.c: kernel TLS (Documentation/networking/tls.rst). */
int try_ktls_autoload(struct attempt *attempt);
int try_ktls_ulp(struct attempt *attempt);
int try_ktls_tx(struct attempt *attempt);
int try_ktls_rx(struct attempt *attempt);
int try_ktls_tls13(struct attempt *attempt);
int try_ktls_aes256(struct attempt *attempt);
int try_ktls_chacha20(struct attempt *attempt);
int try_ktls_ccm(struct attempt *attempt);
int try_ktls_splice(struct attempt *attempt);
int try_ktls_control(struct attempt *attempt);
int try_ktls_rekey(struct attempt *attempt);
int try_ktls_limit(struct attempt *attempt);
int try_ktls_no_pad(struct attempt *attempt);
int try_tls_stat(struct attempt *attempt);

/* try_socket.c: what every relay stands on. */
int try_aes_fast(struct attempt *attempt);
int try_epoll(struct attempt *attempt);
int try_reuseport(struct attempt *attempt);
int try_splice(struct attempt *attempt);
int try_pipe_size(struct attempt *attempt);
int try_ipv6(struct attempt *attempt);

/* try_diag.c: socket diagnostics (sock_diag(7)). */
int try_sock_diag(struct attempt *attempt);
int try_ulp_info(struct attempt *attempt);
int try_diag_cgroup(struct attempt *attempt);

/* try_nft.c: rules, each in a network namespace of its own. */
int try_redirect(struct attempt *attempt);
int try_redirect6(struct attempt *attempt);
int try_tproxy(struct attempt *attempt);
int try_nft_inet(struct attempt *attempt);
int try_nft_dnat(struct attempt *attempt);
int try_nft_fib(struct attempt *attempt);
int try_nft_socket(struct attempt *attempt);
int try_nft_wildcard(struct attempt *attempt);
int try_nft_cgroup(struct attempt *attempt);
int try_nft_ct(struct attempt *attempt);
int try_nft_zone(struct attempt *attempt);
int try_nft_reject(struct attempt *attempt);
int try_nft_owner(struct attempt *attempt);

/* try_bpf.c and try_bpf_cgroup.c: programs of a few instructions. */
int try_bpf(struct attempt *attempt);
int try_bpf_netns(struct attempt *attempt);
int try_bpf_fexit(struct attempt *attempt);
int try_bpf_loop(struct attempt *attempt);
int try_bpf_sk_msg(struct attempt *attempt);
int try_bpf_sk_msg_ktls(struct attempt *attempt);
int try_bpffs(struct attempt *attempt);
int try_bpf_timings(struct attempt *attempt);
int try_bpf_processes(struct attempt *attempt);
int try_bpf_steer(struct attempt *attempt);

#endif
