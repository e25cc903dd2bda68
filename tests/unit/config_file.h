/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TEST_CONFIG_FILE_H
#define KSPLIT_TEST_CONFIG_FILE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A configuration file for one test. */
struct config_file {
	char path[32];
};

static inline void config_file_write(struct config_file *file, const char *text, size_t len)
{
	int fd;
	ssize_t n;

	strcpy(file->path, "/tmp/ksplit-test-XXXXXX");
	fd = mkstemp(file->path);
	assert(fd >= 0);
	n = write(fd, text, len);
	assert(n == (ssize_t)len);
	(void)n;
	close(fd);
}

static inline void config_file_remove(struct config_file *file)
{
	unlink(file->path);
}

#endif
