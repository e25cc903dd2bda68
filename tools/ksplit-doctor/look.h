/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_LOOK_H
#define KSPLIT_DOCTOR_LOOK_H

#include "check.h"

/* Looks at this host (check.h), by the file that they are in. */

/* look_config.c */
void look_config(struct look *look);

/* look_ports.c: addresses that ksplitd is to listen on. */
void look_ports(struct look *look);

/* look_ca.c: the CA's two files, and who trusts it. */
void look_ca_cert(struct look *look);
void look_ca_key(struct look *look);
void look_ca_match(struct look *look);
void look_trust_store(struct look *look);

/* look_limits.c: what a process may have here. */
void look_clock(struct look *look);
void look_files_limit(struct look *look);
void look_memory_lock(struct look *look);
void look_capabilities(struct look *look);

/* look_rules.c: rules of others that lead connections elsewhere. */
void look_rules(struct look *look);

/* look_daemon.c: ksplitd itself, and what it writes to. */
void look_control(struct look *look);
void look_unit(struct look *look);
void look_disk(struct look *look);

#endif
