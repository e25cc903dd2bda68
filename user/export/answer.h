/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_ANSWER_H
#define KSPLIT_EXPORT_ANSWER_H

#include <cJSON.h>
#include <errno.h>
#include <stdint.h>

#include "export/control.h"

#define ANSWER_ERROR 200

/*
 * One function for each command of the control socket (docs/control-protocol.md): it adds the
 * command's members to `data`. 0, -ENOMEM, or another -errno with a sentence in `error`.
 */
int answer_summary(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_connections(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_kernel(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_endpoints(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_requests(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_certs(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_passes(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);

/* The member "action" of a request; without it: status. */
enum answer_action {
	ANSWER_ACTION_STATUS,
	ANSWER_ACTION_ON,
	ANSWER_ACTION_OFF,
	ANSWER_ACTION_UNKNOWN,
};
enum answer_action answer_read_action(const cJSON *request);

/* The same for a command that has more to it than its name: `request` is the whole request. */
int answer_capture(const struct control_source *source, const cJSON *request, cJSON *data,
		   char error[ANSWER_ERROR]);

int answer_taps(const struct control_source *source, const cJSON *request, cJSON *data,
		char error[ANSWER_ERROR]);

/* "keylog": "on", "off" or null, and so on: a member for `to`. false: no memory. */
bool answer_add_taps(const struct control_source *source, cJSON *to);

/* Acts, too. */
int answer_upgrade(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);
int answer_reload(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR]);

/* What became of reloads so far: members for `to`. false: no memory. */
bool answer_add_reloads(cJSON *to, const struct reload_status *status);

/* The wall clock, milliseconds since the epoch. */
int64_t answer_wall_ms(void);

#endif
