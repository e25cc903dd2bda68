// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/socket_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct owner {
	uint32_t inode, pid;
};

struct socket_owners {
	struct owner *list; /* by inode, then process */
	size_t len, room;
	size_t links_left; /* of this scan */
	uint64_t scans;
	int64_t scanned_ms;
};

int socket_owners_new(struct socket_owners **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void socket_owners_free(struct socket_owners *owners)
{
	if (!owners)
		return;
	free(owners->list);
	free(owners);
}

uint64_t socket_owners_scans(const struct socket_owners *owners)
{
	return owners->scans;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* false: no memory, and the scan ends with what it has. */
static bool add_owner(struct socket_owners *owners, uint32_t inode, uint32_t pid)
{
	if (owners->len == owners->room) {
		size_t room = owners->room ? owners->room * 2 : 256;
		struct owner *list = realloc(owners->list, room * sizeof(*list));

		if (!list)
			return false;
		owners->list = list;
		owners->room = room;
	}
	owners->list[owners->len++] = (struct owner){.inode = inode, .pid = pid};
	return true;
}

/* The links of one process; they and the process may go away at any time. */
static bool scan_process(struct socket_owners *owners, const char *pid)
{
	char path[64], target[64];
	struct dirent *entry;
	bool more = true;
	unsigned int inode;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while (more && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (owners->links_left-- == 0)
			break;
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%u]", &inode) == 1)
			more = add_owner(owners, inode, (uint32_t)strtoul(pid, NULL, 10));
	}
	closedir(dir);
	return more && entry == NULL;
}

static int compare(const void *a, const void *b)
{
	const struct owner *one = a, *other = b;

	if (one->inode != other->inode)
		return one->inode < other->inode ? -1 : 1;
	return one->pid < other->pid ? -1 : one->pid > other->pid;
}

static void scan(struct socket_owners *owners)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool more = proc;

	owners->len = 0;
	owners->links_left = SOCKET_OWNER_LINKS;
	while (more && (entry = readdir(proc))) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			more = scan_process(owners, entry->d_name);
	}
	if (proc)
		closedir(proc);
	if (owners->len)
		qsort(owners->list, owners->len, sizeof(*owners->list), compare);
	owners->scanned_ms = now_ms();
	owners->scans++;
}

/* The first of the list with this inode. */
static uint32_t look_up(const struct socket_owners *owners, uint32_t inode)
{
	size_t low = 0, high = owners->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (owners->list[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == owners->len || owners->list[low].inode != inode)
		return 0;
	return owners->list[low].pid;
}

uint32_t socket_owners_find(struct socket_owners *owners, uint32_t inode)
{
	if (!inode)
		return 0;
	/* Nor is an old answer trusted: inode numbers are given again. */
	if (!owners->scans || now_ms() - owners->scanned_ms >= SOCKET_OWNER_FRESH_MS)
		scan(owners);
	return look_up(owners, inode);
}
