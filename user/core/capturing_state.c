// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing_inner.h"

#include <stdio.h>
#include <time.h>

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum capture_state capturing_state(struct capturing *capturing)
{
	enum capture_state state;

	pthread_mutex_lock(&capturing->lock);
	state = capturing->status.state;
	pthread_mutex_unlock(&capturing->lock);
	return state;
}

bool capturing_has_rules(struct capturing *capturing)
{
	return capturing && capturing_state(capturing) != CAPTURE_NOT_CONFIGURED;
}

void capturing_set_state(struct capturing *capturing, enum capture_state state, const char *by,
			 const char *why)
{
	struct capture_status *status = &capturing->status;

	pthread_mutex_lock(&capturing->lock);
	status->state = state;
	status->since_ms = wall_ms();
	status->keeper_pid = capturing->keeper ? (int)keeper_pid(capturing->keeper) : 0;
	status->has_owner = status->has_owner && state == CAPTURE_ON;
	snprintf(status->by, sizeof(status->by), "%s", by);
	snprintf(status->why, sizeof(status->why), "%s", why);
	if (state != CAPTURE_STARTING)
		capturing->done = capturing->seen;
	pthread_cond_broadcast(&capturing->settled);
	pthread_mutex_unlock(&capturing->lock);
}

void capturing_count_withdrawn(struct capturing *capturing, enum capture_withdrawal withdrawal)
{
	pthread_mutex_lock(&capturing->lock);
	capturing->status.withdrawn[withdrawal]++;
	pthread_mutex_unlock(&capturing->lock);
}
