// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/timed_wait.h"

#define SECOND_NS 1000000000L
#define MS_NS	  1000000L

struct timespec timed_wait_moment(uint64_t ms)
{
	struct timespec moment;

	clock_gettime(CLOCK_MONOTONIC, &moment);
	moment.tv_sec += (time_t)(ms / 1000);
	moment.tv_nsec += (long)(ms % 1000) * MS_NS;
	if (moment.tv_nsec >= SECOND_NS) {
		moment.tv_sec++;
		moment.tv_nsec -= SECOND_NS;
	}
	return moment;
}

int timed_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until)
{
	return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, until);
}
