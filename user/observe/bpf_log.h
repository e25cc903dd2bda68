/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BPF_LOG_H
#define KSPLIT_OBSERVE_BPF_LOG_H

/*
 * Have libbpf's messages, the verifier's among them, written into our log at level debug, a line
 * each. What matters of them is told at a higher level by who called libbpf. For the whole process.
 */
void bpf_log_setup(void);

#endif
