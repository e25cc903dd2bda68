/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAP_TARGET_H
#define KSPLIT_TAP_TAP_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "observe/tap_status.h"

/* Where a tap writes to, as its thread is told by TAP_ADOPT; then it is the thread's. */
struct tap_target {
	char path[TAP_PATH];
	int fd;		    /* owned; -1: each connection has files of its own */
	uint64_t most;	    /* bytes: of all content, of one pcapng file */
	unsigned int files; /* pcapng: kept beside the present one */
};

/* Closes its file, too. NULL allowed. */
void tap_target_free(struct tap_target *target);

#endif
