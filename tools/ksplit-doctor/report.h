/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_REPORT_H
#define KSPLIT_DOCTOR_REPORT_H

#include <cJSON.h>

#include "check.h"

/* How the findings are told. */
enum report_form { REPORT_TEXT, REPORT_QUIET, REPORT_JSON };

struct report {
	enum report_form form;
	unsigned int counts[4]; /* by enum verdict */
	const char *area;       /* of the last line */
	cJSON *findings;        /* of JSON, a list */
};

/* 0 or -ENOMEM. */
int report_begin(struct report *report, enum report_form form);

/* One finding; a runner_tell whose context is the report. */
void report_add(void *context, const struct check *check, const struct finding *finding);

/*
 * Print the summary, or all of JSON, on standard output, and free what the report holds. The exit
 * code of ksplit-doctor: 0 all good, 1 something is lost, 2 it will not work.
 */
int report_end(struct report *report);

#endif
