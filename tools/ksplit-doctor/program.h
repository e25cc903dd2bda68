/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_PROGRAM_H
#define KSPLIT_DOCTOR_PROGRAM_H

#include <stddef.h>

/*
 * Run a program of this host and read what it prints, at most `max` bytes. argv ends with NULL; it
 * is looked for in PATH and in the folders of root's programs. 0 with *out, terminated, to be freed
 * by the caller; -ENOENT: there is no such program; -EIO: it failed; other -errno. The time is
 * bounded by the check's (runner.h).
 */
int program_read(const char *const argv[], size_t max, char **out);

#endif
