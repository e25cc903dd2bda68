// SPDX-License-Identifier: GPL-2.0-or-later
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ksplit/text.h>

#define LINE_MAX_BYTES 2048

__attribute__((format(printf, 3, 0))) static void put_line(FILE *out, const char *prefix,
							   const char *fmt, va_list args)
{
	char text[LINE_MAX_BYTES], safe[4 * LINE_MAX_BYTES];

	vsnprintf(text, sizeof(text), fmt, args);
	ksplit_text_escape(safe, sizeof(safe), text, strlen(text));
	fprintf(out, "%s%s\n", prefix, safe);
}

int say_error(enum ca_exit code, const char *fmt, ...)
{
	va_list args;

	/* What was said before on the other stream comes before it, also in a file that has both.
	 */
	fflush(stdout);
	va_start(args, fmt);
	put_line(stderr, "ksplit-ca: ", fmt, args);
	va_end(args);
	return code;
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line(stdout, "", fmt, args);
	va_end(args);
}
