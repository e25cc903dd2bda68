// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/prometheus_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "export/prometheus_families.h"

char *prometheus_text(const struct metrics_moment *moment, size_t *len)
{
	char *text = NULL;
	FILE *out;
	bool ok;

	*len = 0;
	out = open_memstream(&text, len);
	if (!out)
		return NULL;
	prometheus_families_daemon(out, moment);
	ok = prometheus_families_certs(out, &moment->certs) == 0 &&
	     prometheus_families_endpoints(out, &moment->aggregate) == 0 &&
	     prometheus_families_series(out, &moment->aggregate) == 0 && !ferror(out);
	/* Closing flushes, and that can be what memory does not suffice for. */
	if (fclose(out) == 0 && ok)
		return text;
	free(text);
	return NULL;
}
