// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "look.h"

#define FILES_LEAST 256 /* ksplitd needs some for itself before it serves anybody */
#define FILES_FEW   8192

void look_clock(struct look *look)
{
	struct timex timex = {.modes = 0}; /* asks, changes nothing (adjtimex(2)) */

	if (adjtimex(&timex) < 0)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "the kernel does not say: %s",
			  strerror(errno));
	else if (timex.status & STA_UNSYNC)
		look_tell(look, VERDICT_WARN, NULL, "timedatectl set-ntp true, or install chrony",
			  "not synchronised: where it is wrong, origins' certificates look expired "
			  "or not valid yet");
	else
		look_tell(look, VERDICT_OK, NULL, NULL, "synchronised");
}

/* ksplitd raises its soft limit to the hard one by itself. */
void look_files_limit(struct look *look)
{
	static const char mend[] = "LimitNOFILE=1048576 in the unit of ksplitd, or ulimit -Hn";
	unsigned long long hard;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit)) {
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "%s", strerror(errno));
		return;
	}
	hard = limit.rlim_max;
	if (limit.rlim_max == RLIM_INFINITY)
		look_tell(look, VERDICT_OK, NULL, NULL, "no limit to open files");
	else if (hard < FILES_LEAST)
		look_tell(look, VERDICT_FAIL, NULL, mend, "%llu open files at most: too few", hard);
	else if (hard < FILES_FEW)
		look_tell(look, VERDICT_WARN, NULL, mend,
			  "%llu open files at most, for a process started from here: a connection "
			  "takes two, and up to four more while bytes flow",
			  hard);
	else
		look_tell(look, VERDICT_OK, NULL, NULL, "%llu open files at most", hard);
}

/* The sampler's ring, made by bpf(2) itself: libbpf would raise the limit. 0 or -errno. */
static int ring_make(double wanted)
{
	unsigned int bytes = (unsigned int)sysconf(_SC_PAGESIZE);
	union bpf_attr attr;
	long fd;

	while (bytes < wanted && bytes < 1u << 30)
		bytes *= 2;
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = bytes;
	fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

/* Before 5.11 BPF maps count as locked memory of their user. */
void look_memory_lock(struct look *look)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	int rc = ring_make(look->settings->ring_bytes);

	if (rc == 0)
		look_tell(look, VERDICT_OK, NULL, NULL, "leaves room for the sampler's ring");
	else if (!caps_any(CAP_BIT(CAP_BPF) | CAP_BIT(CAP_SYS_ADMIN)))
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "needs root: BPF maps (%s)",
			  strerror(-rc));
	else if (rc == -EINVAL)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "this kernel has no ring buffer");
	else if (rc == -EPERM && setrlimit(RLIMIT_MEMLOCK, &all) == 0 &&
		 ring_make(look->settings->ring_bytes) == 0)
		look_tell(look, VERDICT_OK, NULL, NULL,
			  "too low for the sampler's ring; ksplitd raises it by itself");
	else
		look_tell(look, VERDICT_WARN, NULL, "LimitMEMLOCK=infinity in the unit of ksplitd",
			  "the sampler's ring cannot be made (%s): the daemon samples instead",
			  strerror(-rc));
}

static const struct {
	unsigned int number;
	const char *name;
	const char *lost;
} capabilities[] = {
	{CAP_NET_ADMIN, "CAP_NET_ADMIN",
	 "rules, tproxy, loading kernel TLS by its first use, the kernel's word on TLS sockets"},
	{CAP_BPF, "CAP_BPF", "sampling and timings by BPF"},
	{CAP_PERFMON, "CAP_PERFMON", "sampling kernel TLS by BPF"},
	{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "listeners on ports below 1024"},
	{CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", "raising limits that are too low"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "names of processes of other users"},
};

/* Even root lacks some in a container, or in a unit that bounds them (capabilities(7)). */
static bool root_lacks(unsigned int number)
{
	uint64_t any = CAP_BIT(number);

	/* CAP_SYS_ADMIN stands for both of these; before 5.8 there was only it. */
	if (number == CAP_BPF || number == CAP_PERFMON)
		any |= CAP_BIT(CAP_SYS_ADMIN);
	return !caps_any(any);
}

void look_capabilities(struct look *look)
{
	char mend[FINDING_MEND];
	bool missing = false;

	if (geteuid() != 0) {
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL,
			  "needs root: what a ksplitd that root starts may do here");
		return;
	}
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (!root_lacks(capabilities[i].number))
			continue;
		snprintf(mend, sizeof(mend), "start the container, or the unit, with %s",
			 capabilities[i].name);
		look_tell(look, VERDICT_WARN, capabilities[i].name, mend,
			  "root does not have it here; lost: %s", capabilities[i].lost);
		missing = true;
	}
	if (!missing)
		look_tell(look, VERDICT_OK, NULL, NULL, "root has all that ksplitd makes use of");
}
