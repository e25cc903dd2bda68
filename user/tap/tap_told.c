// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/tap_told.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/log.h"

#define WARN_EVERY_S 60

void tap_told_init(struct tap_told *told, enum tap_kind kind)
{
	*told = (struct tap_told){.kind = kind};
	pthread_mutex_init(&told->lock, NULL);
}

void tap_told_destroy(struct tap_told *told)
{
	pthread_mutex_destroy(&told->lock);
}

void tap_told_count(struct tap_told *told, uint64_t written, uint64_t dropped)
{
	pthread_mutex_lock(&told->lock);
	told->status.written += written;
	told->status.dropped += dropped;
	pthread_mutex_unlock(&told->lock);
}

void tap_told_file(struct tap_told *told)
{
	pthread_mutex_lock(&told->lock);
	told->status.files++;
	pthread_mutex_unlock(&told->lock);
}

void tap_told_connection(struct tap_told *told)
{
	pthread_mutex_lock(&told->lock);
	told->status.connections++;
	pthread_mutex_unlock(&told->lock);
}

void tap_told_truncated(struct tap_told *told, uint64_t dropped)
{
	pthread_mutex_lock(&told->lock);
	told->status.truncated++;
	told->status.dropped += dropped;
	pthread_mutex_unlock(&told->lock);
}

void tap_told_failure(struct tap_told *told, const char *what, int err)
{
	struct timespec now;
	char why[TAP_WHY];
	bool warn;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(why, sizeof(why), "%.130s: %.60s", what, strerrordesc_np(-err));
	pthread_mutex_lock(&told->lock);
	snprintf(told->status.why, sizeof(told->status.why), "%s", why);
	warn = !told->warned_at_s || now.tv_sec - told->warned_at_s >= WARN_EVERY_S;
	if (warn)
		told->warned_at_s = now.tv_sec;
	pthread_mutex_unlock(&told->lock);
	if (warn)
		log_warn("tap %s: %s", tap_kind_name(told->kind), why);
}

void tap_told_read(struct tap_told *told, struct tap_status *out)
{
	pthread_mutex_lock(&told->lock);
	*out = told->status;
	pthread_mutex_unlock(&told->lock);
}
