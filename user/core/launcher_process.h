/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LAUNCHER_PROCESS_H
#define KSPLIT_CORE_LAUNCHER_PROCESS_H

#include "core/launcher.h"

/* In the environment of a ksplitd that is to take over: the number of a descriptor. */
#define LAUNCHER_HANDOVER "KSPLIT_HANDOVER"

/*
 * What the launcher's process does from its fork on: `fd` is its end of the socket. Closes every
 * other descriptor but 0, 1, 2 and the folder, and ends when the daemon has.
 */
_Noreturn void launcher_process(const struct launcher_options *options, int fd);

#endif
