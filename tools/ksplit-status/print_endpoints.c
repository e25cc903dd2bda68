// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "table.h"

#define CONNECTIONS(f) "connections", f
#define BYTES(f)       "bytes", f
#define MEDIAN(times)  times, "p50"
#define REQUESTS       NULL, "requests"
#define FAILURES       NULL, "failures"
#define RETRANSMITS    NULL, "retransmits"
#define SERVER         "server.name", "server.address"

static double ktls(const cJSON *row, const char *figure)
{
	return json_number(json_member(row, "ktls"), figure);
}

/* Those with the smallest share of kernel TLS first: they are what one looks for. */
static double user_share_of(const cJSON *row)
{
	return ktls(row, "directions") > 0 ? 1 - ktls(row, "share") : -1;
}

const struct row_key print_endpoints_keys[] = {
	{"connections", .number = {CONNECTIONS("total")}},
	{"open", .number = {CONNECTIONS("open")}},
	{"throughput", .number = {CONNECTIONS("per_second")}},
	{"requests", .number = {REQUESTS}},
	{"errors", .number = {FAILURES}},
	{"failed", .number = {CONNECTIONS("failed")}},
	{"bytes", .number = {BYTES("to_origin")}, .plus = {BYTES("to_client")}},
	{"connect", .number = {MEDIAN("connect_ms")}},
	{"handshake", .number = {MEDIAN("upstream_handshake_ms")}},
	{"rtt", .number = {MEDIAN("rtt_ms")}},
	{"retransmits", .number = {RETRANSMITS}},
	{"ktls", .of = user_share_of},
	{"server", .text = {SERVER}},
	{.name = NULL},
};

static const char *print_ktls(const cJSON *row, char *buf, size_t len)
{
	const double all = ktls(row, "directions"), kernel = ktls(row, "kernel");

	if (all > 0 && !(kernel > 0))
		return "0%"; /* none is worth a word here */
	return format_share(kernel, all, buf, len);
}

static const char *print_server(const cJSON *row, char *buf, size_t len)
{
	static const struct row_text server = {SERVER};

	if (json_true(row, "other"))
		return "(other)";
	return text_safe(row_text(row, &server), buf, len);
}

static const struct table_column table[] = {
	{"CONNS", 6, 0, false, TABLE_SHORT, .number = {CONNECTIONS("total")}},
	{"OPEN", 5, 50, false, TABLE_SHORT, .number = {CONNECTIONS("open")}},
	{"FAIL", 5, 100, false, TABLE_SHORT, .number = {CONNECTIONS("failed")}},
	{"REQS", 6, 40, false, TABLE_SHORT, .number = {REQUESTS}},
	{"ERR", 5, 120, false, TABLE_SHARE, .number = {FAILURES}, .whole = {REQUESTS}},
	{"CONNECT", 7, 60, false, TABLE_TIME, .number = {MEDIAN("connect_ms")}},
	{"TLS", 7, 60, false, TABLE_TIME, .number = {MEDIAN("upstream_handshake_ms")}},
	{"LEAF", 7, 150, false, TABLE_TIME, .number = {MEDIAN("leaf_ms")}},
	{"CLIENT", 7, 150, false, TABLE_TIME, .number = {MEDIAN("client_handshake_ms")}},
	{"RTT", 7, 70, false, TABLE_TIME, .number = {MEDIAN("rtt_ms")}},
	{"RETR", 5, 100, false, TABLE_SHORT, .number = {RETRANSMITS}},
	{"KTLS", 5, 50, false, TABLE_OWN, .own = print_ktls},
	{"SENT", 8, 130, false, TABLE_BYTES, .number = {BYTES("to_origin")}},
	{"GOT", 8, 130, false, TABLE_BYTES, .number = {BYTES("to_client")}},
	{"ADDRESS", 24, 115, true, TABLE_TEXT, .text = {"server.address", NULL}},
	{"SERVER", 0, 0, true, TABLE_OWN, .own = print_server},
	{.title = NULL},
};

static void print_head(char *line, size_t len, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const double kept = json_number(data, "endpoints_kept");
	char count[FORMAT_NUMBER], most[FORMAT_NUMBER], shown[FORMAT_NUMBER];

	format_count((double)rows->len, shown, sizeof(shown));
	snprintf(line, len, "%s endpoint%s of at most %s; %s%sby %s; times are medians",
		 format_count(kept, count, sizeof(count)), kept > 1 || kept < 1 ? "s" : "",
		 format_count(json_number(data, "max_endpoints"), most, sizeof(most)),
		 (double)rows->len < kept ? shown : "", (double)rows->len < kept ? " " : "",
		 view->sort->name);
}

void print_endpoints(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
{
	static const struct table_page page = {table, print_head};

	table_print(out, &page, data, view, rows);
}
