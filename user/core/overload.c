// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/overload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOK_US 250000
/* For eight status clients, four of the metrics port, DNS, an export, and a file being reopened. */
#define DESCRIPTORS_KEPT 24
/* Two status clients and a file, where there are not that many. */
#define DESCRIPTORS_TO_ASK 4
#define DESCRIPTORS_TRIED 4096 /* before there are connections, all are among the first */

struct overload {
	struct overload_limits limits;
	int statm; /* -1: memory has no limit; kept open, since there may be no descriptor later */
	_Atomic uint64_t looked_us;
	atomic_bool too_big;
};

size_t overload_share(size_t limit, size_t workers)
{
	if (!limit)
		return 0;
	return limit > workers ? limit / workers : 1;
}

int overload_new(const struct overload_limits *limits, struct overload **out)
{
	struct overload *overload = calloc(1, sizeof(*overload));

	if (!overload)
		return -ENOMEM;
	overload->limits = *limits;
	overload->statm = -1;
	if (limits->memory)
		overload->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (limits->memory && overload->statm < 0) {
		int err = -errno;

		free(overload);
		return err;
	}
	*out = overload;
	return 0;
}

void overload_free(struct overload *overload)
{
	if (!overload)
		return;
	if (overload->statm >= 0)
		close(overload->statm);
	free(overload);
}

/* Resident bytes (proc(5), statm: the second number, in pages); 0 when it cannot be read. */
static uint64_t resident(int statm)
{
	unsigned long long size, pages;
	char text[128];
	ssize_t n = pread(statm, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu", &size, &pages) != 2)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool is_too_big(struct overload *overload, uint64_t now_us)
{
	uint64_t looked = atomic_load(&overload->looked_us);

	if (overload->statm < 0)
		return false;
	/* Whoever wins looks for all. */
	if (now_us - looked >= LOOK_US &&
	    atomic_compare_exchange_strong(&overload->looked_us, &looked, now_us))
		atomic_store(&overload->too_big,
			     resident(overload->statm) > overload->limits.memory);
	return atomic_load(&overload->too_big);
}

enum overload_cause overload_judge(struct overload *overload, const struct overload_load *load,
				   uint64_t now_us)
{
	const struct overload_limits *limits = &overload->limits;

	if (limits->intercepted && load->intercepted >= limits->intercepted)
		return OVERLOAD_DESCRIPTORS;
	if (limits->handshakes && load->handshakes >= limits->handshakes)
		return OVERLOAD_HANDSHAKES;
	return is_too_big(overload, now_us) ? OVERLOAD_MEMORY : OVERLOAD_NONE;
}

const char *overload_text(enum overload_cause cause)
{
	switch (cause) {
	case OVERLOAD_NONE: break;
	case OVERLOAD_DESCRIPTORS: return "too few descriptors are left (RLIMIT_NOFILE)";
	case OVERLOAD_MEMORY: return "more memory is used than limits.memory";
	case OVERLOAD_HANDSHAKES: return "more handshakes are under way than limits.handshakes";
	}
	return "";
}

/* Those that are open; /proc/self/fd is closed to a process that must not dump core. */
static size_t count_open(size_t limit)
{
	size_t open = 0;

	for (size_t fd = 0; fd < limit && fd < DESCRIPTORS_TRIED; fd++)
		open += fcntl((int)fd, F_GETFD) >= 0;
	return open;
}

size_t overload_descriptors(void)
{
	struct rlimit limit;
	size_t open, few;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 2;
	/* Raise the soft limit to the hard one: the default of 1024 is a relic of select(2). */
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	open = count_open(limit.rlim_cur);
	if (limit.rlim_cur / 4 * 3 > open + DESCRIPTORS_KEPT)
		return limit.rlim_cur - open - DESCRIPTORS_KEPT;
	/* Next to nothing is left: what there is, but for who asks how it is. */
	few = limit.rlim_cur > open + DESCRIPTORS_TO_ASK + 2
		      ? limit.rlim_cur - open - DESCRIPTORS_TO_ASK
		      : 2;
	return few < limit.rlim_cur / 4 ? few : limit.rlim_cur / 4;
}
