/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_OVERLOAD_H
#define KSPLIT_CORE_OVERLOAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Is there room for one more interception? Where there is none a new connection is passed raw:
 * two descriptors, no handshake and next to no memory. Only when not even that is left do new ones
 * wait in the kernel's queue; none is refused. Any thread.
 */
struct overload;

enum overload_cause {
	OVERLOAD_NONE,
	OVERLOAD_DESCRIPTORS,
	OVERLOAD_MEMORY,
	OVERLOAD_HANDSHAKES,
};

/* 0 in any: no such limit. The first two are one worker's share. */
struct overload_limits {
	size_t intercepted; /* connections intercepted at a time */
	size_t handshakes;  /* of these not yet relaying */
	uint64_t memory;    /* bytes resident, of the process */
};

/* What one worker has under way. */
struct overload_load {
	size_t intercepted, handshakes;
};

/*
 * `share` of `limit` for each of so many workers, at least 1; 0 stays 0.
 */
size_t overload_share(size_t limit, size_t workers);

/* Caller owns *out. 0 or -errno (-ENOMEM, or of open(2): /proc is needed for `memory`). */
int overload_new(const struct overload_limits *limits, struct overload **out);
void overload_free(struct overload *overload);

/*
 * With this connection not yet counted in `load`. Memory is looked at four times a second at most;
 * `now_us` is of CLOCK_MONOTONIC.
 */
enum overload_cause overload_judge(struct overload *overload, const struct overload_load *load,
				   uint64_t now_us);

/* "too few descriptors are left" ...; "" for none. Static. */
const char *overload_text(enum overload_cause cause);

/*
 * How many descriptors connections may have: the limit of the process (RLIMIT_NOFILE, raised to the
 * hard one) less those that are open now and some for what comes and goes (status clients, DNS,
 * exports). At least a quarter of the limit.
 */
size_t overload_descriptors(void);

#endif
