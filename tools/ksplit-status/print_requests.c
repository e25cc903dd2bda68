// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "table.h"

#define LATENCY    "http.request_response.latency"
#define FIRST_BYTE "http.request_response.first_byte"

static double latency(const cJSON *row, const char *figure)
{
	return json_number(json_member(row, LATENCY), figure);
}

static double count_of(const cJSON *row)
{
	return json_number(row, "http.request_response.count");
}

static double throughput_of(const cJSON *row)
{
	return json_number(row, "http.request_response.throughput");
}

static double errors_of(const cJSON *row)
{
	return json_number(row, "http.request_response.failures");
}

static double average_of(const cJSON *row)
{
	return latency(row, "avg");
}

static double p50_of(const cJSON *row)
{
	return latency(row, "p50");
}

static double p90_of(const cJSON *row)
{
	return latency(row, "p90");
}

static double p99_of(const cJSON *row)
{
	return latency(row, "p99");
}

static double max_of(const cJSON *row)
{
	return latency(row, "max");
}

static double time_of(const cJSON *row)
{
	return latency(row, "sum");
}

static double first_byte_of(const cJSON *row)
{
	return json_number(json_member(row, FIRST_BYTE), "avg");
}

static double size_of(const cJSON *row, const char *name, const char *figure)
{
	return json_number(json_member(row, name), figure);
}

static double bytes_of(const cJSON *row)
{
	return size_of(row, "http.request.bytes", "sum") +
	       size_of(row, "http.response.bytes", "sum");
}

static double status_of(const cJSON *row)
{
	return json_number(row, "http.status_code");
}

static const char *uri_of(const cJSON *row)
{
	return json_text(row, "http.uri");
}

static const char *server_of(const cJSON *row)
{
	const char *name = json_text(row, "server.name");

	return *name ? name : json_text(row, "server.address");
}

static const char *process_of(const cJSON *row)
{
	return json_text(row, "process.command");
}

const struct row_key print_requests_keys[] = {
	{"count", count_of, NULL},     {"throughput", throughput_of, NULL},
	{"latency", average_of, NULL}, {"p50", p50_of, NULL},
	{"p90", p90_of, NULL},         {"p99", p99_of, NULL},
	{"max", max_of, NULL},         {"first-byte", first_byte_of, NULL},
	{"time", time_of, NULL},       {"bytes", bytes_of, NULL},
	{"errors", errors_of, NULL},   {"status", status_of, NULL},
	{"uri", NULL, uri_of},         {"server", NULL, server_of},
	{"process", NULL, process_of}, {NULL, NULL, NULL},
};

static const char *print_count(const cJSON *row, char *buf, size_t len)
{
	return format_short(count_of(row), buf, len);
}

static const char *print_throughput(const cJSON *row, char *buf, size_t len)
{
	return format_short(throughput_of(row), buf, len);
}

static const char *print_errors(const cJSON *row, char *buf, size_t len)
{
	return format_share(errors_of(row), count_of(row), buf, len);
}

/* Of requests whose end was seen. */
static const char *print_latency(const cJSON *row, const char *figure, char *buf, size_t len)
{
	if (latency(row, "count") > 0)
		return format_time(latency(row, figure), buf, len);
	return "-";
}

static const char *print_p50(const cJSON *row, char *buf, size_t len)
{
	return print_latency(row, "p50", buf, len);
}

static const char *print_p99(const cJSON *row, char *buf, size_t len)
{
	return print_latency(row, "p99", buf, len);
}

static const char *print_max(const cJSON *row, char *buf, size_t len)
{
	return print_latency(row, "max", buf, len);
}

static const char *print_received(const cJSON *row, char *buf, size_t len)
{
	return format_bytes(size_of(row, "http.response.bytes", "avg"), buf, len);
}

static const char *print_sent(const cJSON *row, char *buf, size_t len)
{
	return format_bytes(size_of(row, "http.request.bytes", "avg"), buf, len);
}

/* What the caller got: gRPC's own status says more than the 200 that it always has. */
static const char *print_status(const cJSON *row, char *buf, size_t len)
{
	if (cJSON_IsNumber(json_member(row, "rpc.grpc.status_code")))
		snprintf(buf, len, "g%.0f", json_number(row, "rpc.grpc.status_code"));
	else if (status_of(row) > 0)
		snprintf(buf, len, "%.0f", status_of(row));
	else
		snprintf(buf, len, "-");
	return buf;
}

static const char *print_process(const cJSON *row, char *buf, size_t len)
{
	return *process_of(row) ? text_safe(process_of(row), buf, len) : "-";
}

static const char *print_version(const cJSON *row, char *buf, size_t len)
{
	const char *version = json_text(row, "http.version");

	return *version ? text_safe(version, buf, len) : "-";
}

/* "GET www.example.com/a/{number}" */
static const char *print_target(const cJSON *row, char *buf, size_t len)
{
	char method[40], server[600], uri[600];

	if (json_true(row, "other"))
		return "(other)";
	snprintf(buf, len, "%s %s%s",
		 *json_text(row, "http.request_method")
			 ? text_safe(json_text(row, "http.request_method"), method, sizeof(method))
			 : "?",
		 text_safe(server_of(row), server, sizeof(server)),
		 text_safe(uri_of(row), uri, sizeof(uri)));
	return buf;
}

static const struct table_column table[] = {
	{"COUNT", 6, 0, false, print_count},
	{"PER S", 6, 50, false, print_throughput},
	{"ERR", 5, 60, false, print_errors},
	{"P50", 7, 70, false, print_p50},
	{"P99", 7, 40, false, print_p99},
	{"MAX", 7, 110, false, print_max},
	{"SENT", 8, 130, false, print_sent},
	{"GOT", 8, 100, false, print_received},
	{"HTTP", 4, 150, false, print_version},
	{"PROCESS", 12, 120, true, print_process},
	{"ST", 3, 60, false, print_status},
	{"REQUEST", 0, 0, true, print_target},
	{NULL, 0, 0, false, NULL},
};

static void print_head(FILE *out, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const double kept = json_number(data, "series_kept");
	char total[FORMAT_NUMBER], series[FORMAT_NUMBER], most[FORMAT_NUMBER];
	char shown[FORMAT_NUMBER], line[400];
	size_t used;

	used = (size_t)snprintf(line, sizeof(line), "%s requests in %s series of at most %s",
				format_count(json_number(data, "requests"), total, sizeof(total)),
				format_count(kept, series, sizeof(series)),
				format_count(json_number(data, "max_series"), most, sizeof(most)));
	if (json_number(data, "series_evicted") > 0)
		used += (size_t)snprintf(
			line + used, sizeof(line) - used, ", %s made room and are in (other)",
			format_count(json_number(data, "series_evicted"), shown, sizeof(shown)));
	used += (size_t)snprintf(line + used, sizeof(line) - used, "; ");
	if ((double)rows->len < kept)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s ",
					 format_count((double)rows->len, shown, sizeof(shown)));
	snprintf(line + used, sizeof(line) - used, "by %s", view->sort->name);
	format_wrapped(out, 0, line);
}

void print_requests(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
{
	char text[200];

	if (cJSON_IsFalse(json_member(data, "on"))) {
		format_wrapped(out, 0, text_safe(json_text(data, "why"), text, sizeof(text)));
		return;
	}
	print_head(out, data, rows, view);
	if (rows->len)
		fputc('\n', out);
	table_print(out, table, rows, view->columns);
}
