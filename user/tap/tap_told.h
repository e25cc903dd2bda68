/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAP_TOLD_H
#define KSPLIT_TAP_TAP_TOLD_H

#include <pthread.h>
#include <stdint.h>

#include "observe/tap_status.h"

/* What a tap has done so far, told by its writer and by workers, read by anybody. */
struct tap_told {
	enum tap_kind kind;
	pthread_mutex_t lock;
	struct tap_status status; /* configured, on and path are the owner's */
	int64_t warned_at_s;	  /* 0: never */
};

void tap_told_init(struct tap_told *told, enum tap_kind kind);
void tap_told_destroy(struct tap_told *told);

/* More of each. */
void tap_told_count(struct tap_told *told, uint64_t written, uint64_t dropped);
void tap_told_file(struct tap_told *told);
void tap_told_connection(struct tap_told *told);
void tap_told_truncated(struct tap_told *told, uint64_t dropped);

/* Something failed: kept for status, and a warning at most once a minute. */
void tap_told_failure(struct tap_told *told, const char *what, int err);

void tap_told_read(struct tap_told *told, struct tap_status *out);

#endif
