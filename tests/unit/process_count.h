/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_PROCESS_COUNT_H
#define KSPLIT_TESTS_PROCESS_COUNT_H

/* What this process holds, to see that a test left nothing. Include after cmocka.h. */

#include <dirent.h>
#include <poll.h>
#include <pthread.h>

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

static inline void *no_work(void *arg)
{
	return arg;
}

/* Threads before a test. A sanitizer starts a thread of its own with a program's first: it counts
 * too. */
static inline int count_threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, no_work, NULL);
	pthread_join(thread, NULL);
	poll(NULL, 0, 10); /* pthread_join returns a little before /proc forgets the thread */
	return count_entries("/proc/self/task");
}

static inline void assert_threads(int expected)
{
	for (int i = 0; i < 200 && count_entries("/proc/self/task") != expected; i++)
		poll(NULL, 0, 10);
	assert_int_equal(count_entries("/proc/self/task"), expected);
}

#endif
