/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_RUNNER_H
#define KSPLIT_DOCTOR_RUNNER_H

#include "check.h"

/* A check may take this long unless told otherwise, and all of them together that long. */
#define RUNNER_CHECK_S  20
#define RUNNER_TOTAL_MS 180000

/* Told of every finding, as it comes. */
typedef void runner_tell(void *context, const struct check *check, const struct finding *finding);

struct runner {
	const struct settings *settings;
	int64_t end_ms;   /* monotonic; set by runner_init */
	int64_t check_ms; /* how long a check may take */
	runner_tell *tell;
	void *context;
};

void runner_init(struct runner *runner, const struct settings *settings, unsigned int check_s,
		 runner_tell *tell, void *context);

/*
 * Run one check in a process of its own, which is killed when its time is up. Tells at least one
 * finding. 0, or -EINTR: SIGINT, SIGTERM or SIGHUP came, and nothing of the check is left.
 */
int runner_run(struct runner *runner, const struct check *check);

#endif
