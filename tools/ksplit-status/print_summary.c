// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include <ksplit/reason.h>

#include "format.h"
#include "print.h"

#define OTLP_ENDPOINT 65 /* of a URL, with its NUL: fewer than FORMAT_COLUMNS with the label */

/* A counter and what it is called here. */
struct figure {
	const char *member;
	const char *name;
};

static void print_figures(FILE *out, const char *label, const cJSON *group,
			  const struct figure *figures,
			  const char *(*format)(double, char *, size_t))
{
	struct format_pairs pairs;
	char value[FORMAT_NUMBER];
	bool any = false;

	for (; figures->member; figures++) {
		if (!json_member(group, figures->member))
			continue;
		if (!any)
			format_pairs_start(&pairs, out, label);
		any = true;
		format_pairs_add(&pairs, figures->name,
				 format(json_number(group, figures->member), value, sizeof(value)));
	}
	if (any)
		format_pairs_end(&pairs);
}

static void print_head(FILE *out, const cJSON *data)
{
	const cJSON *config = json_member(data, "config");
	char text[160], number[FORMAT_NUMBER];
	struct format_pairs pairs;
	size_t i;
	static const char *const names[] = {"relay", "ktls", "verify"};

	fprintf(out, "ksplitd %s", text_safe(json_text(data, "version"), text, 40));
	fprintf(out, ", up %s",
		format_duration(1000 * json_number(data, "uptime_s"), number, sizeof(number)));
	fprintf(out, ", pid %.0f, %.0f worker%s%s\n", json_number(data, "pid"),
		json_number(data, "workers"), json_number(data, "workers") == 1 ? "" : "s",
		json_true(data, "draining") ? ", draining" : "");
	if (*json_text(data, "openssl"))
		fprintf(out, "%-14s%s\n", "Library",
			text_safe(json_text(data, "openssl"), text, 64));
	if (!config)
		return;
	format_pairs_start(&pairs, out, "Configured");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (*json_text(config, names[i]))
			format_pairs_add(&pairs, names[i],
					 text_safe(json_text(config, names[i]), text, 20));
	}
	if (json_number(config, "max_connections") > 0)
		format_pairs_add(&pairs, "max connections",
				 format_count(json_number(config, "max_connections"), number,
					      sizeof(number)));
	format_pairs_end(&pairs);
}

static void print_degraded(FILE *out, const cJSON *data)
{
	char text[512];

	if (!*json_text(data, "degraded"))
		return;
	fprintf(out, "%-14s", "DEGRADED");
	format_wrapped(out, 14, text_safe(json_text(data, "degraded"), text, sizeof(text)));
}

/* What is written down of what TLS is to protect has to be seen at a glance. */
static void print_taps_on(FILE *out, const cJSON *taps)
{
	char text[160] = "", name[24];
	const cJSON *tap;

	cJSON_ArrayForEach(tap, taps)
	{
		const size_t used = strlen(text);

		if (used < 60 && cJSON_IsString(tap) && strcmp(tap->valuestring, "on") == 0)
			snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
				 text_safe(tap->string, name, sizeof(name)));
	}
	if (!*text)
		return;
	snprintf(text + strlen(text), sizeof(text) - strlen(text),
		 ": keys or plaintext go to files (ksplit-status taps)");
	fprintf(out, "%-14s", "TAPS ON");
	format_wrapped(out, 14, text);
}

/* Of what is configured: "rules on  connect hook withdrawn". */
static void print_capture_states(FILE *out, const cJSON *capture)
{
	static const struct figure ways[] = {{"rules", "rules"}, {"hook", "connect hook"}};
	struct format_pairs pairs;
	char state[40];
	bool any = false;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		text_safe(json_text(capture, ways[i].member), state, sizeof(state));
		if (!*state || strcmp(state, "not_configured") == 0)
			continue;
		if (!any)
			format_pairs_start(&pairs, out, "Capture by");
		any = true;
		format_pairs_add(&pairs, ways[i].name, state);
	}
	if (any)
		format_pairs_end(&pairs);
}

static void print_open(FILE *out, const cJSON *data)
{
	static const struct figure now[] = {
		{"open", "open"}, {"passed_open", "of them passed"}, {0}};
	static const struct figure total[] = {
		{"accepted", "accepted"}, {"intercepted", "intercepted"},     {"passed", "passed"},
		{"closed", "closed"},     {"accept_paused", "accept paused"}, {0}};
	const cJSON *group = json_member(data, "connections"), *state;
	char name[40], value[FORMAT_NUMBER];
	struct format_pairs pairs;
	bool any = false;

	print_figures(out, "Connections", group, now, format_count);
	cJSON_ArrayForEach(state, json_member(group, "by_state"))
	{
		if (!cJSON_IsNumber(state) || state->valuedouble == 0)
			continue;
		if (!any)
			format_pairs_start(&pairs, out, "  by state");
		any = true;
		format_pairs_add(&pairs, text_safe(state->string, name, sizeof(name)),
				 format_count(state->valuedouble, value, sizeof(value)));
	}
	if (any)
		format_pairs_end(&pairs);
	print_figures(out, "  since start", group, total, format_count);
}

static void print_handshakes(FILE *out, const cJSON *data)
{
	static const struct figure client[] = {{"client_completed", "completed"},
					       {"client_resumed", "resumed"},
					       {"client_failed", "failed"},
					       {"parallel", "beside the origin's"},
					       {"parallel_wrong", "for nothing"},
					       {0}};
	static const struct figure upstream[] = {{"upstream_completed", "completed"},
						 {"upstream_resumed", "resumed"},
						 {"upstream_failed", "failed"},
						 {0}};
	static const struct figure sessions[] = {
		{"upstream_hits", "hits"},       {"upstream_misses", "misses"},
		{"upstream_stored", "stored"},   {"upstream_expired", "expired"},
		{"upstream_refused", "refused"}, {0}};
	const cJSON *group = json_member(data, "handshakes");

	if (!group)
		return;
	fputs("Handshakes\n", out);
	print_figures(out, "  client", group, client, format_count);
	print_figures(out, "  upstream", group, upstream, format_count);
	print_figures(out, "  sessions", json_member(data, "sessions"), sessions, format_count);
}

/* Two rows that are read against each other, so in columns. */
static void print_directions(FILE *out, const cJSON *data)
{
	static const char *const members[] = {"client_rx", "client_tx", "upstream_rx",
					      "upstream_tx"};
	static const struct figure rows[] = {
		{"ktls", "  in kernel"}, {"user_tls", "  user space"}, {0}};
	const struct figure *row;
	char value[FORMAT_NUMBER];
	size_t i;

	if (!json_member(data, "ktls") && !json_member(data, "user_tls"))
		return;
	fprintf(out, "%-14s%15s%15s%15s%15s\n", "Directions", "client rx", "client tx",
		"upstream rx", "upstream tx");
	for (row = rows; row->member; row++) {
		fprintf(out, "%-14s", row->name);
		for (i = 0; i < 4; i++)
			fprintf(out, "%15s",
				format_count(
					json_number(json_member(data, row->member), members[i]),
					value, sizeof(value)));
		fputc('\n', out);
	}
}

static void print_traffic(FILE *out, const cJSON *data)
{
	static const struct figure ways[] = {
		{"to_origin", "to origin"}, {"to_client", "to client"}, {0}};
	static const struct figure relays[] = {{"spliced", "splice"},
					       {"copied", "copy"},
					       {"user", "user"},
					       {"raw", "passed raw"},
					       {0}};
	static const struct figure records[] = {{"alerts_forwarded", "alerts forwarded"},
						{"tickets_swallowed", "tickets swallowed"},
						{"key_updates", "key updates"},
						{"rekeys", "rekeys"},
						{"record_limits", "record limits"},
						{0}};

	print_figures(out, "Bytes", json_member(data, "bytes"), ways, format_bytes);
	print_figures(out, "  by relay", json_member(data, "bytes"), relays, format_bytes);
	print_figures(out, "Records", json_member(data, "records"), records, format_count);
}

static void print_observation(FILE *out, const cJSON *data)
{
	static const struct figure figures[] = {{"requests", "seen"},
						{"not_http", "connections not HTTP"},
						{"events_dropped", "events dropped"},
						{0}};
	const cJSON *observation = json_member(data, "observation");

	if (cJSON_IsFalse(json_member(observation, "on")))
		fprintf(out, "%-14s%s\n", "Requests", "not observed");
	else
		print_figures(out, "Requests", observation, figures, format_count);
}

/* "process 123  signed 4 ..." */
static void print_signer(FILE *out, const cJSON *signer)
{
	static const struct figure figures[] = {{"signed", "signed"},
						{"busy", "busy"},
						{"refused", "refused"},
						{"failed", "failed"},
						{0}};
	char line[60];

	if (!cJSON_IsObject(signer))
		return;
	if (json_true(signer, "alive"))
		snprintf(line, sizeof(line), "process %.0f", json_number(signer, "pid"));
	else
		snprintf(line, sizeof(line), "its process has gone");
	fprintf(out, "%-14s%s\n", "Signer", line);
	print_figures(out, "  leaves", signer, figures, format_count);
}

static void print_identities(FILE *out, const cJSON *identities)
{
	static const struct figure figures[] = {
		{"count", "shown"}, {"reloads", "reloads"}, {"failed", "failed"}, {0}};

	if (cJSON_IsObject(identities))
		print_figures(out, "Identities", identities, figures, format_count);
}

static void print_services(FILE *out, const cJSON *data)
{
	static const struct figure cache[] = {{"entries", "entries"}, {"hits", "hits"},
					      {"misses", "misses"},   {"forged", "forged"},
					      {"failed", "failed"},   {"waited", "waited"},
					      {"evicted", "evicted"}, {0}};
	static const struct figure sessions[] = {
		{"entries", "entries"}, {"evicted", "evicted"}, {0}};
	static const struct figure log[] = {{"dropped", "lines dropped"}, {0}};

	print_figures(out, "Leaf cache", json_member(data, "leaf_cache"), cache, format_count);
	print_figures(out, "Session cache", json_member(data, "session_cache"), sessions,
		      format_count);
	print_signer(out, json_member(data, "signer"));
	print_identities(out, json_member(data, "identities"));
	print_figures(out, "Access log", json_member(data, "access_log"), log, format_count);
}

/* Where metrics are pushed to, what came of it, and why the last of what failed did. */
static void print_otlp(FILE *out, const cJSON *otlp)
{
	static const struct figure exports[] = {{"exported", "exported"},
						{"refused", "refused"},
						{"dropped", "dropped"},
						{"unmade", "not made"},
						{"queued", "waiting"},
						{"requests_retried", "requests sent again"},
						{"points_rejected", "data points rejected"},
						{0}};
	char text[300], when[40];

	if (!cJSON_IsObject(otlp))
		return;
	print_figures(out, "OTLP exports", otlp, exports, format_count);
	if (*json_text(otlp, "endpoint"))
		fprintf(out, "%-14s%s\n", "  to",
			text_safe(json_text(otlp, "endpoint"), text, OTLP_ENDPOINT));
	if (!*json_text(otlp, "last_error"))
		return;
	fprintf(out, "%-14s%s\n", "  last error",
		text_safe(json_text(otlp, "last_error_time"), when, sizeof(when)));
	fprintf(out, "%-14s", "");
	format_wrapped(out, 14, text_safe(json_text(otlp, "last_error"), text, sizeof(text)));
}

/* The sentence of a reason by its name; "" for one of a newer daemon. */
static const char *reason_text(const char *name)
{
	int i;

	for (i = 0; i < KSPLIT_REASON_COUNT; i++) {
		if (strcmp(ksplit_reason_name((enum ksplit_reason)i), name) == 0)
			return ksplit_reason_text((enum ksplit_reason)i);
	}
	return "";
}

static bool reason_counted(const cJSON *reason)
{
	return cJSON_IsNumber(reason) && reason->valuedouble > 0;
}

/* The width of the names of those that happened; 0 when none has. */
static int reasons_width(const cJSON *group)
{
	const cJSON *reason;
	int width = 0, len;
	char name[40];

	cJSON_ArrayForEach(reason, group)
	{
		len = (int)strlen(text_safe(reason->string, name, sizeof(name)));
		if (reason_counted(reason) && len > width)
			width = len;
	}
	return width;
}

static void print_reasons(FILE *out, const char *title, const cJSON *group)
{
	const int width = reasons_width(group);
	char name[40], value[FORMAT_NUMBER];
	const cJSON *reason;

	if (!width)
		return;
	fprintf(out, "\n%s\n", title);
	cJSON_ArrayForEach(reason, group)
	{
		if (!reason_counted(reason))
			continue;
		format_count(reason->valuedouble, value, sizeof(value));
		text_safe(reason->string, name, sizeof(name));
		if (!*reason_text(reason->string)) {
			fprintf(out, "%11s  %s\n", value, name);
			continue;
		}
		fprintf(out, "%11s  %-*s  ", value, width, name);
		format_wrapped(out, (size_t)width + 15, reason_text(reason->string));
	}
}

void print_summary(FILE *out, const cJSON *data)
{
	const cJSON *reasons = json_member(data, "reasons");

	print_head(out, data);
	print_degraded(out, data);
	print_taps_on(out, json_member(data, "taps"));
	fputc('\n', out);
	print_capture_states(out, json_member(data, "capture"));
	print_open(out, data);
	print_handshakes(out, data);
	print_directions(out, data);
	print_traffic(out, data);
	print_observation(out, data);
	print_services(out, data);
	print_otlp(out, json_member(data, "otlp"));
	print_reasons(out, "Ended", json_member(reasons, "end"));
	print_reasons(out, "Passed through raw", json_member(reasons, "pass"));
	print_reasons(out, "Directions not in the kernel", json_member(reasons, "fallback"));
}
