/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LAUNCHER_WIRE_H
#define KSPLIT_CORE_LAUNCHER_WIRE_H

#include <stdint.h>

/*
 * Messages between the daemon and its launcher, both of one program: one order, one answer. A
 * successful answer to the first two brings one descriptor.
 */
enum launcher_order {
	LAUNCHER_SIGNER = 1,
	LAUNCHER_UPGRADE,
	LAUNCHER_CANCEL,
};

struct launcher_ask {
	uint32_t order;	 /* enum launcher_order */
	uint32_t number; /* comes back with the answer */
};

struct launcher_answer {
	uint32_t number;
	int32_t err; /* 0 or -errno */
	int32_t pid; /* of what was started */
};

#endif
