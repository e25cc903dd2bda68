// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <string.h>

#include "format.h"
#include "print.h"

#define LABEL 12

/* A line that grows by pieces and is wrapped when it is printed. */
struct line {
	char text[1024];
	size_t used;
};

static void line_add(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line_add(struct line *line, const char *fmt, ...)
{
	size_t room = sizeof(line->text) - line->used;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line->text + line->used, room, fmt, args);
	va_end(args);
	if (n > 0)
		line->used += (size_t)n < room ? (size_t)n : room - 1;
}

/* A text member after a separator; nothing when it is missing or null. */
static void line_add_member(struct line *line, const char *separator, const cJSON *object,
			    const char *name)
{
	char text[300];

	if (*json_text(object, name))
		line_add(line, "%s%s", line->used ? separator : "",
			 text_safe(json_text(object, name), text, sizeof(text)));
}

static void line_print(FILE *out, const char *label, const struct line *line)
{
	fprintf(out, "  %-*s", LABEL - 2, label);
	format_wrapped(out, LABEL, line->text);
}

/* true: in the kernel; a reason: user space because of it; false: not decided yet. */
static void line_add_way(struct line *line, const char *way, const cJSON *ktls)
{
	const cJSON *member = json_member(ktls, way);
	char text[64];

	if (!cJSON_IsTrue(member) && !cJSON_IsString(member))
		return;
	line_add(line, "%s%s ", line->used ? ", " : "", way);
	if (cJSON_IsTrue(member))
		line_add(line, "kernel");
	else
		line_add(line, "user (%s)", text_safe(member->valuestring, text, sizeof(text)));
}

/* Who holds the record layer of each direction. */
static void print_records(FILE *out, const cJSON *ktls)
{
	struct line line = {.used = 0};

	line_add_way(&line, "rx", ktls);
	line_add_way(&line, "tx", ktls);
	if (line.used)
		line_print(out, "  records", &line);
}

static void print_side(FILE *out, const cJSON *connection, const char *side, const char *tls_name)
{
	const cJSON *tls = json_member(connection, tls_name);
	struct line line = {.used = 0};

	line_add_member(&line, "", connection, side);
	line_add_member(&line, ", ", tls, "version");
	line_add_member(&line, " ", tls, "cipher");
	if (json_true(tls, "resumed"))
		line_add(&line, ", resumed");
	line_add_member(&line, ", alert received ", tls, "alert_received");
	line_add_member(&line, ", alert sent ", tls, "alert_sent");
	if (line.used)
		line_print(out, side, &line);
	print_records(out, json_member(tls, "ktls"));
}

/* How the origin's certificate was judged; nothing where nobody did. */
static void print_judgement(FILE *out, const cJSON *judgement)
{
	const cJSON *fault, *rule = json_member(judgement, "rule");
	struct line line = {.used = 0};
	char text[64];

	if (!cJSON_IsObject(judgement))
		return;
	cJSON_ArrayForEach(fault, json_member(judgement, "faults"))
	{
		if (cJSON_IsString(fault))
			line_add(&line, "%s%s", line.used ? ", " : "",
				 text_safe(fault->valuestring, text, sizeof(text)));
	}
	if (!line.used)
		line_add(&line, "%s",
			 strcmp(json_text(judgement, "verify"), "off") ? "good" : "not looked at");
	line_add(&line, " (verify %s",
		 text_safe(json_text(judgement, "verify"), text, sizeof(text)));
	if (cJSON_IsNumber(rule))
		line_add(&line, ", rule %.0f", rule->valuedouble);
	line_add(&line, ")");
	line_print(out, "  cert", &line);
}

/* The kernel's own word for a side's socket. */
static void print_socket(FILE *out, const cJSON *connection, const char *side)
{
	const cJSON *socket = json_member(json_member(connection, "kernel"), side);
	const cJSON *tcp = json_member(socket, "tcp");
	struct line line = {.used = 0};

	if (!cJSON_IsObject(socket))
		return;
	line_add_member(&line, "", socket, "ulp");
	if (!line.used)
		line_add(&line, "no ULP");
	line_add_member(&line, " ", socket, "version");
	line_add_member(&line, " ", socket, "cipher");
	if (*json_text(socket, "ulp")) {
		line_add_member(&line, ", rx ", socket, "rxconf");
		line_add_member(&line, ", tx ", socket, "txconf");
	}
	if (tcp)
		line_add(&line, ", rtt %.2f ms, retransmits %.0f",
			 json_number(tcp, "rtt_us") / 1000, json_number(tcp, "retransmits"));
	line_print(out, "  socket", &line);
}

static void print_flow(FILE *out, const char *label, const cJSON *flow)
{
	double bytes = json_number(flow, "bytes"), spliced = json_number(flow, "spliced");
	struct line line = {.used = 0};
	char number[FORMAT_NUMBER];

	if (!cJSON_IsObject(flow))
		return;
	line_add(&line, "%s", format_bytes(bytes, number, sizeof(number)));
	line_add_member(&line, " by ", flow, "relay");
	if (spliced > 0 && spliced < bytes)
		line_add(&line, ", %.1f %% of it spliced", 100 * spliced / bytes);
	line_print(out, label, &line);
}

static void print_connection(FILE *out, const cJSON *connection)
{
	struct line head = {.used = 0};
	char text[64], age[FORMAT_NUMBER];

	line_add(&head, "#%.0f %s for %s", json_number(connection, "id"),
		 text_safe(json_text(connection, "state"), text, sizeof(text)),
		 format_duration(json_number(connection, "age_ms"), age, sizeof(age)));
	line_add_member(&head, ", ", connection, "sni");
	line_add_member(&head, ", ", connection, "alpn");
	line_add_member(&head, ", passed raw: ", connection, "pass_reason");
	format_wrapped(out, 0, head.text);
	print_side(out, connection, "client", "client_tls");
	print_socket(out, connection, "client");
	print_side(out, connection, "upstream", "upstream_tls");
	print_judgement(out, json_member(connection, "origin_certificate"));
	print_socket(out, connection, "upstream");
	print_flow(out, "to origin", json_member(connection, "to_origin"));
	print_flow(out, "to client", json_member(connection, "to_client"));
}

void print_connections(FILE *out, const cJSON *data)
{
	const cJSON *list = json_member(data, "connections"), *connection;
	char text[200], number[FORMAT_NUMBER];
	int count = cJSON_GetArraySize(list);

	fprintf(out, "%s open connection%s\n", format_count(count, number, sizeof(number)),
		count == 1 ? "" : "s");
	if (*json_text(data, "socket_diagnostics_error"))
		fprintf(out, "no socket diagnostics: %s\n",
			text_safe(json_text(data, "socket_diagnostics_error"), text, sizeof(text)));
	cJSON_ArrayForEach(connection, list)
	{
		fputc('\n', out);
		print_connection(out, connection);
	}
}
