/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_TAP_STATUS_H
#define KSPLIT_OBSERVE_TAP_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* What a tap writes (docs/taps.md). */
enum tap_kind { TAP_KEYLOG, TAP_CONTENT, TAP_PCAPNG, TAP_KINDS };

#define TAP_PATH 512
#define TAP_WHY	 200

/* How one tap is, since the start of the daemon. */
struct tap_status {
	bool configured;
	bool on;		/* false: not configured, or switched off */
	char path[TAP_PATH];	/* as configured */
	uint64_t connections;	/* that it was shown; of the key log 0 */
	uint64_t truncated;	/* of these, how many are not there whole */
	uint64_t written;	/* bytes in files */
	uint64_t dropped;	/* bytes that are not; of the key log lines */
	uint64_t files;		/* made or opened */
	char why[TAP_WHY];	/* the last that went wrong; "": nothing */
};

/* "keylog", "content", "pcapng": of the configuration and of the control protocol. */
const char *tap_kind_name(enum tap_kind kind);

#endif
