/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TOOLS_CONTROL_CLIENT_H
#define KSPLIT_TOOLS_CONTROL_CLIENT_H

#include <cJSON.h>
#include <stddef.h>

/*
 * Ask the daemon one thing over its control socket (ksplit/control.h): connect, request, answer,
 * close. After CONTROL_SILENCE_MS without a byte (of upgrade and reload: CONTROL_TOTAL_MS), or
 * CONTROL_TOTAL_MS altogether, the daemon counts as not reachable.
 */
#define CONTROL_SILENCE_MS 5000
#define CONTROL_TOTAL_MS   60000
#define CONTROL_ANSWER_MAX (64 * 1024 * 1024) /* tens of thousands of connections */

struct control_answer {
	char *line;        /* the whole answer as it came; valid JSON */
	cJSON *root;       /* the same, parsed */
	const cJSON *data; /* its "data", an object */
};

/* What is asked, in words of the protocol; NULL: without that. */
struct control_question {
	const char *command;
	const char *action; /* of commands that can do something */
	const char *tap;    /* of the command `taps`: which */
};

/*
 * 0 with *answer filled, to be freed with control_answer_free. -EINTR when a signal came; other
 * -errno with one line in `error`: what went wrong and where. Signals are to be blocked by the
 * caller; they are let in while waiting.
 */
int control_client_ask(const char *path, const struct control_question *question,
		       struct control_answer *answer, char *error, size_t error_len);

void control_answer_free(struct control_answer *answer);

#endif
