// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"

/* "  tx TLSv1.3   AES-128-GCM, AES-256-GCM" for each version of a direction. */
static void print_ciphers(FILE *out, const cJSON *ktls, const char *way)
{
	const cJSON *version, *cipher;
	char text[64], name[24];
	const char *separator;

	cJSON_ArrayForEach(version, json_member(ktls, way)) {
		fprintf(out, "  %s %-9s", way, text_safe(version->string, name, sizeof(name)));
		separator = "";
		cJSON_ArrayForEach(cipher, version) {
			if (!cJSON_IsString(cipher))
				continue;
			fprintf(out, "%s%s", separator,
				text_safe(cipher->valuestring, text, sizeof(text)));
			separator = ", ";
		}
		fprintf(out, "%s\n", *separator ? "" : "none");
	}
}

static void print_ktls(FILE *out, const cJSON *ktls)
{
	char text[160];

	if (!cJSON_IsObject(ktls))
		return;
	fprintf(out, "%-14s", "Kernel TLS");
	if (json_true(ktls, "ulp"))
		fprintf(out, "yes, keys %s be replaced (KeyUpdate)\n",
			json_true(ktls, "rekey") ? "can" : "cannot");
	else if (*json_text(ktls, "error"))
		fprintf(out, "no: %s\n", text_safe(json_text(ktls, "error"), text, sizeof(text)));
	else
		fputs("no\n", out);
	if (!json_true(ktls, "ulp"))
		return;
	print_ciphers(out, ktls, "tx");
	print_ciphers(out, ktls, "rx");
}

static void print_tls_stat(FILE *out, const cJSON *stat)
{
	char name[48], value[FORMAT_NUMBER];
	const cJSON *counter;
	int width = 0, len;

	cJSON_ArrayForEach(counter, stat) {
		len = (int)strlen(text_safe(counter->string, name, sizeof(name)));
		width = len > width ? len : width;
	}
	if (!width)
		return;
	fputs("\n/proc/net/tls_stat (whole network namespace)\n", out);
	cJSON_ArrayForEach(counter, stat) {
		if (cJSON_IsNumber(counter))
			fprintf(out, "  %-*s %15s\n", width,
				text_safe(counter->string, name, sizeof(name)),
				format_count(counter->valuedouble, value, sizeof(value)));
	}
}

void print_kernel(FILE *out, const cJSON *data)
{
	const cJSON *stat = json_member(data, "tls_stat");
	char text[80];

	fprintf(out, "%-14s%s\n", "Kernel",
		*json_text(data, "release")
			? text_safe(json_text(data, "release"), text, sizeof(text))
			: "not told");
	print_ktls(out, json_member(data, "ktls"));
	if (cJSON_IsObject(stat))
		print_tls_stat(out, stat);
	else
		fputs("\n/proc/net/tls_stat is not there (module tls not loaded)\n", out);
}
