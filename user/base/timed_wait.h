/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BASE_TIMED_WAIT_H
#define KSPLIT_BASE_TIMED_WAIT_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/*
 * Waits for a condition that end at a moment of CLOCK_MONOTONIC, whatever clock the condition was
 * made with: a wall clock that is set meanwhile neither stalls nor hurries them
 * (pthread_cond_clockwait, glibc 2.30).
 */

/* The moment so many milliseconds from now. */
struct timespec timed_wait_moment(uint64_t ms);

/* As pthread_cond_timedwait(3): 0, maybe for nothing, or ETIMEDOUT. */
int timed_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *until);

#endif
