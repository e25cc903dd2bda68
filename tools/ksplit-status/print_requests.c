// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "table.h"

#define COUNT      NULL, "http.request_response.count"
#define FAILURES   NULL, "http.request_response.failures"
#define THROUGHPUT NULL, "http.request_response.throughput"
#define SENT(f)    "http.request.bytes", f
#define GOT(f)     "http.response.bytes", f
#define LATENCY(f) "http.request_response.latency", f
#define FIRST(f)   "http.request_response.first_byte", f
#define SERVER     "server.name", "server.address"

const struct row_key print_requests_keys[] = {
	{"count", .number = {COUNT}},
	{"throughput", .number = {THROUGHPUT}},
	{"latency", .number = {LATENCY("avg")}},
	{"p50", .number = {LATENCY("p50")}},
	{"p90", .number = {LATENCY("p90")}},
	{"p99", .number = {LATENCY("p99")}},
	{"max", .number = {LATENCY("max")}},
	{"first-byte", .number = {FIRST("avg")}},
	{"time", .number = {LATENCY("sum")}},
	{"bytes", .number = {SENT("sum")}, .plus = {GOT("sum")}},
	{"errors", .number = {FAILURES}},
	{"status", .number = {NULL, "http.status_code"}},
	{"uri", .text = {"http.uri", NULL}},
	{"server", .text = {SERVER}},
	{"process", .text = {"process.command", NULL}},
	{.name = NULL},
};

/* What the caller got: gRPC's own status says more than the 200 that it always has. */
static const char *print_status(const cJSON *row, char *buf, size_t len)
{
	const double status = json_number(row, "http.status_code");

	if (cJSON_IsNumber(json_member(row, "rpc.grpc.status_code")))
		snprintf(buf, len, "g%.0f", json_number(row, "rpc.grpc.status_code"));
	else if (status > 0)
		snprintf(buf, len, "%.0f", status);
	else
		snprintf(buf, len, "-");
	return buf;
}

/* "GET www.example.com/a/{number}"; "GET http://..." of what came in plain TCP. */
static const char *print_target(const cJSON *row, char *buf, size_t len)
{
	static const struct row_text name = {SERVER};
	char method[40], server[600], uri[600];

	if (json_true(row, "other"))
		return "(other)";
	snprintf(buf, len, "%s %s%s%s",
		 *json_text(row, "http.request_method")
			 ? text_safe(json_text(row, "http.request_method"), method, sizeof(method))
			 : "?",
		 strcmp(json_text(row, "url.scheme"), "http") ? "" : "http://",
		 text_safe(row_text(row, &name), server, sizeof(server)),
		 text_safe(json_text(row, "http.uri"), uri, sizeof(uri)));
	return buf;
}

static const struct table_column table[] = {
	{"COUNT", 6, 0, false, TABLE_SHORT, .number = {COUNT}},
	{"PER S", 6, 50, false, TABLE_SHORT, .number = {THROUGHPUT}},
	{"ERR", 5, 60, false, TABLE_SHARE, .number = {FAILURES}, .whole = {COUNT}},
	{"P50", 7, 70, false, TABLE_TIME, .number = {LATENCY("p50")}},
	{"P99", 7, 40, false, TABLE_TIME, .number = {LATENCY("p99")}},
	{"MAX", 7, 110, false, TABLE_TIME, .number = {LATENCY("max")}},
	{"SENT", 8, 130, false, TABLE_BYTES, .number = {SENT("avg")}},
	{"GOT", 8, 100, false, TABLE_BYTES, .number = {GOT("avg")}},
	{"HTTP", 4, 150, false, TABLE_TEXT, .text = {"http.version", NULL}},
	{"PROCESS", 12, 120, true, TABLE_TEXT, .text = {"process.command", NULL}},
	{"ST", 3, 60, false, TABLE_OWN, .own = print_status},
	{"REQUEST", 0, 0, true, TABLE_OWN, .own = print_target},
	{.title = NULL},
};

static void print_head(char *line, size_t len, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const double kept = json_number(data, "series_kept");
	char total[FORMAT_NUMBER], series[FORMAT_NUMBER], most[FORMAT_NUMBER];
	char shown[FORMAT_NUMBER];
	size_t used;

	used = (size_t)snprintf(line, len, "%s requests in %s series of at most %s",
				format_count(json_number(data, "requests"), total, sizeof(total)),
				format_count(kept, series, sizeof(series)),
				format_count(json_number(data, "max_series"), most, sizeof(most)));
	if (json_number(data, "series_evicted") > 0)
		used += (size_t)snprintf(
			line + used, len - used, ", %s made room and are in (other)",
			format_count(json_number(data, "series_evicted"), shown, sizeof(shown)));
	used += (size_t)snprintf(line + used, len - used, "; ");
	if ((double)rows->len < kept)
		used += (size_t)snprintf(line + used, len - used, "%s ",
					 format_count((double)rows->len, shown, sizeof(shown)));
	snprintf(line + used, len - used, "by %s", view->sort->name);
}

void print_requests(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
{
	static const struct table_page page = {table, print_head};

	table_print(out, &page, data, view, rows);
}
