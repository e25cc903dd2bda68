/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_PREEMPTION_H
#define KSPLIT_OBSERVE_PREEMPTION_H

#include <stdbool.h>

/*
 * May this kernel take the CPU away from a BPF program that traces it? As it was booted, or as
 * /sys/kernel/debug/sched/preempt says, where that can be read (kernel/sched/debug.c); true when in
 * doubt.
 */
bool preemption_possible(void);

/*
 * The same, of that file's text and of uname(2)'s version ("#1 SMP PREEMPT_DYNAMIC ..."); NULL: not
 * known.
 */
bool preemption_told(const char *mode, const char *version);

#endif
