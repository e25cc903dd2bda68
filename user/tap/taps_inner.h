/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAPS_INNER_H
#define KSPLIT_TAP_TAPS_INNER_H

#include <pthread.h>

#include "tap/content.h"
#include "tap/keylog.h"
#include "tap/pcapng.h"
#include "tap/tap_told.h"
#include "tap/tap_writer.h"
#include "tap/taps.h"

/* What is configured of one tap. */
struct tap_setting {
	bool configured;
	char path[TAP_PATH];
	uint64_t connection; /* bytes of each direction */
	uint64_t most;
	unsigned int files;
	bool side[SIDES];
};

struct taps {
	pthread_mutex_t lock; /* guards setting, and changes of what follows it */
	struct tap_setting setting[TAP_KINDS];
	atomic_bool on[TAP_KINDS];
	atomic_uint epoch[TAP_KINDS]; /* another one whenever it was switched off */
	atomic_bool keys[SIDES];
	struct tap_told told[TAP_KINDS];
	struct tap_writer writer[TAP_KINDS];
	struct keylog keylog;
	struct content content;
	struct pcapng pcapng;
};

#endif
