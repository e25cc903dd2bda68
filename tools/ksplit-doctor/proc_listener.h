/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_PROC_LISTENER_H
#define KSPLIT_DOCTOR_PROC_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Who listens on a TCP port of this network namespace, by /proc (proc(5)). False: nobody, or only
 * root may see whose socket it is. `name` is the process's (comm), 16 bytes.
 */
bool proc_listener_find(uint16_t port, pid_t *pid, char name[16]);

#endif
