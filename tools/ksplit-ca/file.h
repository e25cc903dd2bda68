/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_FILE_H
#define KSPLIT_CA_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FILE_PATH_MAX 4096

/*
 * A file that is written beside its place and appears there whole, or not at all: file_begin,
 * file_commit; file_abandon in any case. Mode and owner are set before the first byte is written,
 * whatever the umask.
 */
struct new_file {
	const char *path; /* the caller's */
	char temp[FILE_PATH_MAX];
	bool made;
};

struct file_access {
	mode_t mode;
	uid_t uid; /* (uid_t)-1: as it is */
	gid_t gid; /* (gid_t)-1: as it is */
};

/* 0, or -errno. `bytes` may be wiped afterwards: none of them stays in a buffer. */
int file_begin(struct new_file *file, const char *path, const void *bytes, size_t len,
	       const struct file_access *access);

/* Put it into its place. -EEXIST where something is there already and `replace` is not wanted. */
int file_commit(struct new_file *file, bool replace);
void file_abandon(struct new_file *file);

/* All at once: 0, or -errno. */
int file_write(const char *path, const void *bytes, size_t len, const struct file_access *access,
	       bool replace);

/*
 * A whole file of at most FILE_MAX_BYTES; the caller wipes and frees *bytes, which has a zero byte
 * behind its end. 0, or -errno (-EFBIG).
 */
#define FILE_MAX_BYTES (16 * 1024 * 1024)
int file_read(const char *path, char **bytes, size_t *len);

#endif
