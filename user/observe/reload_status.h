/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_RELOAD_STATUS_H
#define KSPLIT_OBSERVE_RELOAD_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define RELOAD_BY   80
#define RELOAD_TEXT 1024

/* What became of reloads of the configuration. */
struct reload_status {
	uint64_t done, failed;
	int64_t last_ms;  /* wall clock; 0: none yet. What follows is of the last one: */
	bool last_failed; /* nothing has changed then */
	int pid;          /* another ksplitd that took over to carry it out; 0: there was no need */
	char by[RELOAD_BY];
	char error[RELOAD_TEXT]; /* failed: one line */
	char kept[RELOAD_TEXT];	 /* keys that take effect at the next start: "workers, sampler" */
	uint64_t generation;	 /* number of the present configuration; 1: of the start */
	uint64_t old;		 /* of those before it, how many have open connections */
};

#endif
