// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_backoff.h"

#include <stdlib.h>

#define FIRST_MS          1000
#define MAX_MS            60000
#define RETRY_AFTER_MAX_S 600

void otlp_backoff_set_up(struct otlp_backoff *backoff, uint32_t interval_ms, unsigned int seed)
{
	backoff->first_ms = interval_ms < FIRST_MS ? interval_ms : FIRST_MS;
	backoff->delay_ms = 0;
	backoff->seed = seed;
}

/* Daemons that lost one collector must not come back to it all at once. */
static int64_t jitter(struct otlp_backoff *backoff, int64_t ms)
{
	return ms / 2 + rand_r(&backoff->seed) % (ms - ms / 2 + 1);
}

int64_t otlp_backoff_next(struct otlp_backoff *backoff, int64_t retry_after_s)
{
	int64_t after_s = retry_after_s > 0 ? retry_after_s : 0;
	int64_t ms;

	if (after_s > RETRY_AFTER_MAX_S)
		after_s = RETRY_AFTER_MAX_S;
	backoff->delay_ms = backoff->delay_ms ? backoff->delay_ms * 2 : backoff->first_ms;
	if (backoff->delay_ms > MAX_MS)
		backoff->delay_ms = MAX_MS;
	ms = jitter(backoff, backoff->delay_ms);
	return ms < after_s * 1000 ? after_s * 1000 : ms;
}

void otlp_backoff_end(struct otlp_backoff *backoff)
{
	backoff->delay_ms = 0;
}

bool otlp_backoff_is_on(const struct otlp_backoff *backoff)
{
	return backoff->delay_ms != 0;
}
