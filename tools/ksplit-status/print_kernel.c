// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "print_pair.h"

/* "  tx TLSv1.3   AES-128-GCM, AES-256-GCM" for each version of a direction. */
static void print_ciphers(FILE *out, const cJSON *ktls, const char *way)
{
	const cJSON *version, *cipher;
	char text[64], name[24];
	const char *separator;

	cJSON_ArrayForEach(version, json_member(ktls, way))
	{
		fprintf(out, "  %s %-9s", way, text_safe(version->string, name, sizeof(name)));
		separator = "";
		cJSON_ArrayForEach(cipher, version)
		{
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

/* "name count" for each member of an object of counters. */
static void print_counters(FILE *out, const char *label, const cJSON *counters)
{
	char name[40], value[FORMAT_NUMBER];
	struct format_pairs pairs;
	const cJSON *counter;

	if (!cJSON_IsObject(counters) || !counters->child)
		return;
	format_pairs_start(&pairs, out, label);
	cJSON_ArrayForEach(counter, counters)
	{
		if (cJSON_IsNumber(counter))
			format_pairs_add(&pairs, text_safe(counter->string, name, sizeof(name)),
					 format_count(counter->valuedouble, value, sizeof(value)));
	}
	format_pairs_end(&pairs);
}

static void print_sentence(FILE *out, const char *label, const char *sentence)
{
	char text[400];

	fprintf(out, "%-14s", label);
	format_wrapped(out, 14, text_safe(sentence, text, sizeof(text)));
}

static void print_hook(FILE *out, const char *label, const cJSON *hook)
{
	char text[300];

	if (!cJSON_IsObject(hook))
		return;
	if (json_true(hook, "attached"))
		snprintf(text, sizeof(text), "by BPF");
	else
		snprintf(text, sizeof(text), "no%s%.280s", *json_text(hook, "why") ? ": " : "",
			 json_text(hook, "why"));
	print_sentence(out, label, text);
}

static void print_hooks(FILE *out, const cJSON *sampler)
{
	print_hook(out, "  timings", json_member(sampler, "timings"));
	print_hook(out, "  processes", json_member(sampler, "processes"));
	if (*json_text(sampler, "pins"))
		print_sentence(out, "  pinned maps", json_text(sampler, "pins"));
}

static void print_ring(FILE *out, const cJSON *sampler)
{
	static const struct {
		const char *member, *name;
	} losses[] = {{"ring_dropped", "ring"}, {"queue_dropped", "queues"}};
	struct format_pairs pairs;
	size_t i;

	format_pairs_start(&pairs, out, "  dropped");
	for (i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		print_count(&pairs, losses[i].name, sampler, losses[i].member);
	print_count(&pairs, "bytes not shown", sampler, "lost_bytes");
	if (json_number(sampler, "ring_bytes") > 0)
		print_size(&pairs, "size of the ring", sampler, "ring_bytes");
	format_pairs_end(&pairs);
}

static void print_requests_seen(FILE *out, const cJSON *sampler)
{
	struct format_pairs pairs;

	format_pairs_start(&pairs, out, "  seen");
	print_count(&pairs, "requests", sampler, "requests");
	print_count(&pairs, "connections not HTTP", sampler, "not_http");
	format_pairs_end(&pairs);
}

static void print_sampler(FILE *out, const cJSON *sampler)
{
	static const char *const ways[][2] = {
		{"kernel_tls", "kernel TLS"}, {"plain", "plain"}, {"user", "user space"}};
	struct format_pairs pairs;
	char text[64];
	size_t i;

	if (!cJSON_IsObject(sampler))
		return;
	if (!json_true(sampler, "on")) {
		print_sentence(out, "Sampler", json_text(sampler, "why"));
		print_hooks(out, sampler);
		return;
	}
	format_pairs_start(&pairs, out, "Sampler");
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		format_pairs_add(&pairs, ways[i][1],
				 text_safe(json_text(sampler, ways[i][0]), text, sizeof(text)));
	format_pairs_end(&pairs);
	if (*json_text(sampler, "why"))
		print_sentence(out, "  why", json_text(sampler, "why"));
	print_hooks(out, sampler);
	print_counters(out, "  connections", json_member(sampler, "connections"));
	print_counters(out, "  events", json_member(sampler, "events"));
	print_ring(out, sampler);
	print_requests_seen(out, sampler);
	print_counters(out, "  not decoded", json_member(sampler, "troubles"));
}

static void print_capture_hook(FILE *out, const cJSON *hook)
{
	char text[64];

	if (!cJSON_IsObject(hook))
		return;
	if (!json_true(hook, "on")) {
		print_sentence(out, "Connect hook", json_text(hook, "why"));
		return;
	}
	snprintf(text, sizeof(text), "on, %.0f of %.0f cgroups and units are there",
		 json_number(hook, "attached"), json_number(hook, "wanted"));
	print_sentence(out, "Connect hook", text);
	print_counters(out, "  calls", json_member(hook, "calls"));
}

static void print_tls_stat(FILE *out, const cJSON *stat)
{
	char name[48], value[FORMAT_NUMBER];
	const cJSON *counter;
	int width = 0, len;

	cJSON_ArrayForEach(counter, stat)
	{
		len = (int)strlen(text_safe(counter->string, name, sizeof(name)));
		width = len > width ? len : width;
	}
	if (!width)
		return;
	fputs("\n/proc/net/tls_stat (whole network namespace)\n", out);
	cJSON_ArrayForEach(counter, stat)
	{
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
	print_sampler(out, json_member(data, "sampler"));
	print_capture_hook(out, json_member(data, "capture_hook"));
	if (cJSON_IsObject(stat))
		print_tls_stat(out, stat);
	else
		fputs("\n/proc/net/tls_stat is not there (module tls not loaded)\n", out);
}
