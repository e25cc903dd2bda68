// SPDX-License-Identifier: GPL-2.0-or-later
#include "view.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "format.h"

#define COLUMNS_MAX 10000

unsigned int view_columns(FILE *out)
{
	const char *text = getenv("COLUMNS");
	struct winsize size = {0};
	unsigned long columns;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	columns = text ? strtoul(text, NULL, 10) : 0;
	return columns >= 1 && columns <= COLUMNS_MAX ? (unsigned int)columns : FORMAT_COLUMNS;
}
