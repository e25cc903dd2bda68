/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_PROCESS_COUNT_H
#define KSPLIT_TESTS_PROCESS_COUNT_H

/* What this process holds, to see that a test left nothing. Include after cmocka.h. */

#include <dirent.h>

static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

static inline int count_threads(void)
{
	return count_entries("/proc/self/task");
}

#endif
