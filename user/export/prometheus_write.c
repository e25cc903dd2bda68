// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/prometheus_write.h"

#include <inttypes.h>
#include <ksplit/text.h>
#include <string.h>

#define LABEL_MAX 256 /* bytes of a value, before escaping */

#define BOUNDS(array)                                                                              \
	{                                                                                          \
		array, sizeof(array) / sizeof((array)[0])                                          \
	}

static const struct prometheus_bound http_bounds[] = {
	{5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {75000, "0.075"},
	{100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {750000, "0.75"}, {1000000, "1"},
	{2500000, "2.5"}, {5000000, "5"},   {7500000, "7.5"}, {10000000, "10"},
};
static const struct prometheus_bound network_bounds[] = {
	{100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
	{5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
	{250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"}, {10000000, "10"},
};
static const struct prometheus_bound lifetime_bounds[] = {
	{10000, "0.01"},  {100000, "0.1"},    {1000000, "1"},       {10000000, "10"},
	{60000000, "60"}, {600000000, "600"}, {3600000000, "3600"}, {86400000000, "86400"},
};

const struct prometheus_bounds prometheus_bounds_http = BOUNDS(http_bounds);
const struct prometheus_bounds prometheus_bounds_network = BOUNDS(network_bounds);
const struct prometheus_bounds prometheus_bounds_lifetime = BOUNDS(lifetime_bounds);

void prometheus_write_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s ", name);
	/* The format's own escapes in a help text: backslash and newline. */
	for (; *help; help++) {
		if (*help == '\\' || *help == '\n')
			fputs(*help == '\n' ? "\\n" : "\\\\", out);
		else
			fputc(*help, out);
	}
	fprintf(out, "\n# TYPE %s %s\n", name, type);
}

void prometheus_write_label(FILE *out, const char *name, const char *value, size_t max)
{
	char clean[4 * LABEL_MAX + 1];
	size_t len = strnlen(value, max < LABEL_MAX ? max : LABEL_MAX);

	if (len == 0)
		return;
	ksplit_text_escape(clean, sizeof(clean), value, len);
	fprintf(out, "%s%s=\"", ftell(out) > 0 ? "," : "", name);
	for (const char *p = clean; *p; p++) {
		if (*p == '\\' || *p == '"')
			fputc('\\', out);
		fputc(*p, out);
	}
	fputc('"', out);
}

void prometheus_write_count(FILE *out, const char *name, const char *labels, uint64_t value)
{
	if (*labels)
		fprintf(out, "%s{%s} %" PRIu64 "\n", name, labels, value);
	else
		fprintf(out, "%s %" PRIu64 "\n", name, value);
}

void prometheus_write_single(FILE *out, const char *name, const char *type, const char *help,
			     uint64_t value)
{
	prometheus_write_family(out, name, type, help);
	prometheus_write_count(out, name, "", value);
}

void prometheus_write_histogram(FILE *out, const char *name, const char *labels,
				const struct histogram *h, const struct prometheus_bounds *bounds)
{
	const char *comma = *labels ? "," : "";

	for (size_t i = 0; i < bounds->len; i++)
		fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma,
			bounds->list[i].le, histogram_count_up_to(h, bounds->list[i].us));
	fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, h->count);
	fprintf(out, "%s_sum%s%s%s %" PRIu64 ".%06" PRIu64 "\n", name, *labels ? "{" : "", labels,
		*labels ? "}" : "", h->sum / 1000000, h->sum % 1000000);
	fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, *labels ? "{" : "", labels,
		*labels ? "}" : "", h->count);
}
