/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_PRIVATE_FILE_H
#define KSPLIT_TAP_PRIVATE_FILE_H

#include <stddef.h>

/*
 * Files with plaintext or keys in them: 0600, never through a symbolic link (O_NOFOLLOW), regular
 * files alone.
 */

/* Open for append; made where it is not there. A descriptor or -errno: -ELOOP (a symbolic link),
 * -EPERM (not ours, or others may read it), -EINVAL (no regular file). */
int private_file_append(const char *path);

/*
 * Make a file that is not there yet, with the folders behind the first `fixed` bytes of its path
 * (0700) where they are missing; none of these may be a symbolic link. A descriptor for writing, or
 * -errno: -EEXIST.
 */
int private_file_make(const char *path, size_t fixed);

/* Append all of it, or nothing: 0, or -errno with the file as it was. */
int private_file_add(int fd, const void *bytes, size_t len);

#endif
