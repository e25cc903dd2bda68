// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/bpf_log.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

static int __attribute__((format(printf, 2, 0)))
print_message(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text, *line, *rest;

	/* libbpf's own debug messages tell of every relocation. */
	if (level == LIBBPF_DEBUG || !log_enabled(LOG_LEVEL_DEBUG))
		return 0;
	if (vasprintf(&text, format, args) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_debug("%s", line);
	free(text);
	return 0;
}

void bpf_log_setup(void)
{
	libbpf_set_print(print_message);
}
