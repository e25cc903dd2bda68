/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_PROGRAM_H
#define KSPLIT_CA_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The stores' own programs, from the system's folders only and with messages in English. No shell
 * is between; what they say is shown only when they fail.
 */

#define PROGRAM_PATH_MAX 256

/* The path of a program, in `buf`; false: it is not installed. */
bool program_find(const char *name, char buf[static PROGRAM_PATH_MAX]);

/*
 * Run argv (argv[0] is a path) with `input` (may be NULL) as its standard input, until it ends or
 * five minutes have passed. Returns its exit code or -errno. `output`, when not NULL, gets what it
 * wrote to both of its outputs, at most 1 MiB, zero-terminated, and is then the caller's to free.
 */
int program_run(const char *const *argv, const char *input, char **output);

/* The same; anything but 0 is said in one line with its last words, and returned as -1. */
int program_must(const char *const *argv, const char *input);

/* Say that it failed: `code` and `output` are program_run's. */
void program_failed(const char *program, int code, const char *output);

#endif
