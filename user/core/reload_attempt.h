/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_RELOAD_ATTEMPT_H
#define KSPLIT_CORE_RELOAD_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/reload_status.h"

struct launcher_options;
struct server;
struct turnover;

/* The work of a reload, and what came of it. All of it is the main thread's. */
struct reload_attempt {
	struct server *server;
	const struct launcher_options *start;
	struct turnover *unfinished; /* a hanging worker has not done its part; NULL: none */
	uint64_t old;                /* generations whose connections are still open */
	/* of the last one: */
	bool failed;
	bool beyond; /* it takes what a ksplitd has at its start alone; `error` says what */
	char error[RELOAD_TEXT];
	char kept[RELOAD_TEXT];
};

void reload_attempt_run(struct reload_attempt *attempt);

/* Free generations that nobody uses any more. */
void reload_attempt_reap(struct reload_attempt *attempt);

/* Before the workers' own ends: let go of everything. */
void reload_attempt_forget(struct reload_attempt *attempt);

#endif
