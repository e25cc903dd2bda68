/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_ERROR_H
#define KSPLIT_CORE_CONFIG_ERROR_H

#include <stddef.h>

/* Write one line to `error`; what is not printable (names and values come from a file) as \xNN. */
void config_error_set(char *error, size_t error_len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The nearest of several names to a misspelt one. Start with only `word` set. */
struct config_suggestion {
	const char *word;
	const char *name; /* not terminated, the candidate's own; NULL: none is near */
	size_t name_len;
	size_t distance;
};

/* Consider the first `len` bytes of `name`; keep it when it is nearer than what was seen before. */
void config_suggestion_offer(struct config_suggestion *suggestion, const char *name, size_t len);

#endif
