// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "format.h"
#include "print.h"
#include "table.h"

static double inner(const cJSON *row, const char *object, const char *member)
{
	return json_number(json_member(row, object), member);
}

static double connections_of(const cJSON *row)
{
	return inner(row, "connections", "total");
}

static double open_of(const cJSON *row)
{
	return inner(row, "connections", "open");
}

static double failed_of(const cJSON *row)
{
	return inner(row, "connections", "failed");
}

static double per_second_of(const cJSON *row)
{
	return inner(row, "connections", "per_second");
}

static double requests_of(const cJSON *row)
{
	return json_number(row, "requests");
}

static double errors_of(const cJSON *row)
{
	return json_number(row, "failures");
}

static double bytes_of(const cJSON *row)
{
	return inner(row, "bytes", "to_origin") + inner(row, "bytes", "to_client");
}

static double connect_of(const cJSON *row)
{
	return inner(row, "connect_ms", "p50");
}

static double handshake_of(const cJSON *row)
{
	return inner(row, "upstream_handshake_ms", "p50");
}

static double rtt_of(const cJSON *row)
{
	return inner(row, "rtt_ms", "p50");
}

static double retransmits_of(const cJSON *row)
{
	return json_number(row, "retransmits");
}

/* Those with the smallest share of kernel TLS first: they are what one looks for. */
static double user_share_of(const cJSON *row)
{
	return inner(row, "ktls", "directions") > 0 ? 1 - inner(row, "ktls", "share") : -1;
}

static const char *server_of(const cJSON *row)
{
	const char *name = json_text(row, "server.name");

	return *name ? name : json_text(row, "server.address");
}

const struct row_key print_endpoints_keys[] = {
	{"connections", connections_of, NULL},
	{"open", open_of, NULL},
	{"throughput", per_second_of, NULL},
	{"requests", requests_of, NULL},
	{"errors", errors_of, NULL},
	{"failed", failed_of, NULL},
	{"bytes", bytes_of, NULL},
	{"connect", connect_of, NULL},
	{"handshake", handshake_of, NULL},
	{"rtt", rtt_of, NULL},
	{"retransmits", retransmits_of, NULL},
	{"ktls", user_share_of, NULL},
	{"server", NULL, server_of},
	{NULL, NULL, NULL},
};

static const char *print_connections_total(const cJSON *row, char *buf, size_t len)
{
	return format_short(connections_of(row), buf, len);
}

static const char *print_open(const cJSON *row, char *buf, size_t len)
{
	return format_short(open_of(row), buf, len);
}

static const char *print_failed(const cJSON *row, char *buf, size_t len)
{
	return format_short(failed_of(row), buf, len);
}

static const char *print_request_count(const cJSON *row, char *buf, size_t len)
{
	return format_short(requests_of(row), buf, len);
}

static const char *print_errors(const cJSON *row, char *buf, size_t len)
{
	return format_share(errors_of(row), requests_of(row), buf, len);
}

static const char *print_time(const cJSON *row, const char *name, char *buf, size_t len)
{
	if (inner(row, name, "count") > 0)
		return format_time(inner(row, name, "p50"), buf, len);
	return "-";
}

static const char *print_connect(const cJSON *row, char *buf, size_t len)
{
	return print_time(row, "connect_ms", buf, len);
}

static const char *print_handshake(const cJSON *row, char *buf, size_t len)
{
	return print_time(row, "upstream_handshake_ms", buf, len);
}

static const char *print_client_handshake(const cJSON *row, char *buf, size_t len)
{
	return print_time(row, "client_handshake_ms", buf, len);
}

static const char *print_leaf(const cJSON *row, char *buf, size_t len)
{
	return print_time(row, "leaf_ms", buf, len);
}

static const char *print_rtt(const cJSON *row, char *buf, size_t len)
{
	return print_time(row, "rtt_ms", buf, len);
}

static const char *print_retransmits(const cJSON *row, char *buf, size_t len)
{
	return format_short(retransmits_of(row), buf, len);
}

static const char *print_ktls(const cJSON *row, char *buf, size_t len)
{
	const double all = inner(row, "ktls", "directions"), kernel = inner(row, "ktls", "kernel");

	if (all > 0 && !(kernel > 0))
		return "0%"; /* none is worth a word here */
	return format_share(kernel, all, buf, len);
}

static const char *print_sent(const cJSON *row, char *buf, size_t len)
{
	return format_bytes(inner(row, "bytes", "to_origin"), buf, len);
}

static const char *print_received(const cJSON *row, char *buf, size_t len)
{
	return format_bytes(inner(row, "bytes", "to_client"), buf, len);
}

static const char *print_address(const cJSON *row, char *buf, size_t len)
{
	const char *address = json_text(row, "server.address");

	return *address ? text_safe(address, buf, len) : "-";
}

static const char *print_server(const cJSON *row, char *buf, size_t len)
{
	if (json_true(row, "other"))
		return "(other)";
	return text_safe(server_of(row), buf, len);
}

static const struct table_column table[] = {
	{"CONNS", 6, 0, false, print_connections_total},
	{"OPEN", 5, 50, false, print_open},
	{"FAIL", 5, 100, false, print_failed},
	{"REQS", 6, 40, false, print_request_count},
	{"ERR", 5, 120, false, print_errors},
	{"CONNECT", 7, 60, false, print_connect},
	{"TLS", 7, 60, false, print_handshake},
	{"LEAF", 7, 150, false, print_leaf},
	{"CLIENT", 7, 150, false, print_client_handshake},
	{"RTT", 7, 70, false, print_rtt},
	{"RETR", 5, 100, false, print_retransmits},
	{"KTLS", 5, 50, false, print_ktls},
	{"SENT", 8, 130, false, print_sent},
	{"GOT", 8, 130, false, print_received},
	{"ADDRESS", 24, 115, true, print_address},
	{"SERVER", 0, 0, true, print_server},
	{NULL, 0, 0, false, NULL},
};

static void print_head(FILE *out, const cJSON *data, const struct rows *rows,
		       const struct view *view)
{
	const double kept = json_number(data, "endpoints_kept");
	char count[FORMAT_NUMBER], most[FORMAT_NUMBER], shown[FORMAT_NUMBER], line[300];

	format_count((double)rows->len, shown, sizeof(shown));
	snprintf(line, sizeof(line), "%s endpoint%s of at most %s; %s%sby %s; times are medians",
		 format_count(kept, count, sizeof(count)), kept > 1 || kept < 1 ? "s" : "",
		 format_count(json_number(data, "max_endpoints"), most, sizeof(most)),
		 (double)rows->len < kept ? shown : "", (double)rows->len < kept ? " " : "",
		 view->sort->name);
	format_wrapped(out, 0, line);
}

void print_endpoints(FILE *out, const cJSON *data, const struct view *view, const struct rows *rows)
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
