// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/access_record.h"

#include <string.h>
#include <time.h>

#include "export/attribute.h"
#include "export/conn_json.h"
#include "export/json_add.h"
#include "export/series_json.h"
#include "observe/uri_template.h"

enum record_type { RECORD_CONNECTION, RECORD_REQUEST };

/* A request's texts, which stand one behind the other after struct request_record. */
enum request_text {
	TEXT_SERVER_NAME,
	TEXT_METHOD,
	TEXT_URI,
	TEXT_HOST,
	TEXT_CONTENT_TYPE,
	TEXT_COMMAND,
	TEXT_UNIT,
	TEXTS
};

struct connection_record {
	enum record_type type; /* first in both */
	struct conn_info info;
};

struct request_record {
	enum record_type type;
	uint16_t len[TEXTS];
	enum observe_direction direction;
	enum observe_http_version version;
	uint64_t conn;
	int64_t time_ms; /* wall clock */
	union conn_address client, endpoint;
	int status, grpc_status;
	uint64_t request_bytes, request_body, response_bytes, response_body;
	uint64_t first_byte_us, last_byte_us;
	uint32_t pid;
	bool has_first_byte, complete, path_cut, plain;
};

_Static_assert(sizeof(struct connection_record) <= ACCESS_RECORD_MAX, "room for a connection");
_Static_assert(sizeof(struct request_record) + sizeof(((struct observe_conn *)0)->server_name) +
			       sizeof(((struct observe_process *)0)->command) +
			       sizeof(((struct observe_process *)0)->unit) + OBSERVE_METHOD_MAX +
			       URI_TEMPLATE_MAX + OBSERVE_HOST_MAX + OBSERVE_TYPE_MAX <=
		       ACCESS_RECORD_MAX,
	       "room for a request with all its texts");

size_t access_record_connection(const struct conn_info *info, void *out)
{
	struct connection_record record;

	memset(&record, 0, sizeof(record));
	record.type = RECORD_CONNECTION;
	record.info = *info;
	memcpy(out, &record, sizeof(record));
	return sizeof(record);
}

/* When a moment of the monotonic clock was by the wall clock. */
static int64_t wall_of(uint64_t monotonic_ns)
{
	struct timespec wall, monotonic;
	int64_t ago_ns;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	ago_ns = (int64_t)monotonic.tv_sec * 1000000000 + monotonic.tv_nsec - (int64_t)monotonic_ns;
	return ((int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - ago_ns) / 1000000;
}

static void fill(struct request_record *record, const struct observe_conn *conn,
		 const struct observe_request *request)
{
	memset(record, 0, sizeof(*record));
	record->type = RECORD_REQUEST;
	record->direction = conn->direction;
	record->version = request->version;
	record->conn = conn->id;
	record->time_ms = wall_of(request->time_ns);
	record->client = conn->client;
	record->endpoint = conn->endpoint;
	record->status = request->status;
	record->grpc_status = request->grpc_status;
	record->request_bytes = request->request_bytes;
	record->request_body = request->request_body;
	record->response_bytes = request->response_bytes;
	record->response_body = request->response_body;
	record->first_byte_us = request->first_byte_us;
	record->last_byte_us = request->last_byte_us;
	record->pid = conn->process.pid;
	record->has_first_byte = request->has_first_byte;
	record->complete = request->complete;
	record->path_cut = request->path_cut;
	record->plain = !conn->tls_version;
}

size_t access_record_request(const struct observe_conn *conn, const struct observe_request *request,
			     void *out)
{
	char uri[URI_TEMPLATE_MAX] = "";
	const struct {
		const char *text;
		size_t size;
	} texts[TEXTS] = {
		[TEXT_SERVER_NAME] = {conn->server_name, sizeof(conn->server_name)},
		[TEXT_METHOD] = {request->method, sizeof(request->method)},
		[TEXT_URI] = {uri, sizeof(uri)},
		[TEXT_HOST] = {request->host, sizeof(request->host)},
		[TEXT_CONTENT_TYPE] = {request->content_type, sizeof(request->content_type)},
		[TEXT_COMMAND] = {conn->process.command, sizeof(conn->process.command)},
		[TEXT_UNIT] = {conn->process.unit, sizeof(conn->process.unit)},
	};
	struct request_record record;
	size_t used = sizeof(record);

	if (request->path_cut)
		uri_template_cut(request->path, uri);
	else if (request->path[0])
		uri_template(request->path, uri);
	fill(&record, conn, request);
	for (int i = 0; i < TEXTS; i++) {
		record.len[i] = (uint16_t)strnlen(texts[i].text, texts[i].size);
		memcpy((char *)out + used, texts[i].text, record.len[i]);
		used += record.len[i];
	}
	memcpy(out, &record, sizeof(record));
	return used;
}

/* A record that is being read. */
struct reader {
	struct request_record record;
	const char *text[TEXTS]; /* of record.len bytes */
};

static bool add_text(cJSON *to, const char *name, const struct reader *reader,
		     enum request_text which)
{
	return json_add_foreign(to, name, reader->text[which], reader->record.len[which]);
}

static bool add_ms_if(cJSON *to, const char *name, bool known, uint64_t us)
{
	return known ? json_add_ms(to, name, us) : json_add_text(to, name, NULL);
}

static bool add_number_if(cJSON *to, const char *name, bool known, int value)
{
	return known ? json_add_u64(to, name, (uint64_t)value) : json_add_text(to, name, NULL);
}

static bool add_where(cJSON *to, const struct reader *reader)
{
	const struct request_record *record = &reader->record;

	return json_add_text(to, "type", "request") && json_add_time(to, "time", record->time_ms) &&
	       json_add_u64(to, "connection", record->conn) &&
	       json_add_text(to, "direction", series_json_direction(record->direction)) &&
	       conn_json_add_address(to, "client", &record->client) &&
	       conn_json_add_address(to, "upstream", &record->endpoint) &&
	       add_text(to, "sni", reader, TEXT_SERVER_NAME);
}

static bool add_what(cJSON *to, const struct reader *reader)
{
	const struct request_record *record = &reader->record;

	return json_add_text(to, "scheme", attribute_scheme(record->plain)) &&
	       json_add_text(to, "http_version", series_json_http_version(record->version)) &&
	       add_text(to, "method", reader, TEXT_METHOD) &&
	       add_text(to, "host", reader, TEXT_HOST) && add_text(to, "uri", reader, TEXT_URI) &&
	       json_add_bool(to, "path_cut", record->path_cut) &&
	       add_number_if(to, "status", record->status > 0, record->status) &&
	       add_number_if(to, "grpc_status", record->grpc_status >= 0, record->grpc_status) &&
	       add_text(to, "content_type", reader, TEXT_CONTENT_TYPE);
}

static bool add_how_much(cJSON *to, const struct request_record *record)
{
	return json_add_u64(to, "request_bytes", record->request_bytes) &&
	       json_add_u64(to, "request_body_bytes", record->request_body) &&
	       json_add_u64(to, "response_bytes", record->response_bytes) &&
	       json_add_u64(to, "response_body_bytes", record->response_body) &&
	       add_ms_if(to, "first_byte_ms", record->has_first_byte, record->first_byte_us) &&
	       add_ms_if(to, "last_byte_ms", record->complete, record->last_byte_us) &&
	       json_add_bool(to, "complete", record->complete);
}

static bool add_who(cJSON *to, const struct reader *reader)
{
	cJSON *process;

	if (!reader->record.pid)
		return json_add_text(to, "process", NULL);
	process = cJSON_AddObjectToObject(to, "process");
	return process && json_add_u64(process, "pid", reader->record.pid) &&
	       add_text(process, "command", reader, TEXT_COMMAND) &&
	       add_text(process, "unit", reader, TEXT_UNIT);
}

static cJSON *request_json(const void *bytes)
{
	cJSON *object = cJSON_CreateObject();
	struct reader reader;
	const char *text;

	memcpy(&reader.record, bytes, sizeof(reader.record));
	text = (const char *)bytes + sizeof(reader.record);
	for (int i = 0; i < TEXTS; i++) {
		reader.text[i] = text;
		text += reader.record.len[i];
	}
	if (add_where(object, &reader) && add_what(object, &reader) &&
	    add_how_much(object, &reader.record) && add_who(object, &reader))
		return object;
	cJSON_Delete(object);
	return NULL;
}

cJSON *access_record_json(const void *record, size_t len)
{
	struct connection_record connection;
	enum record_type type;

	memcpy(&type, record, sizeof(type));
	if (type == RECORD_REQUEST)
		return request_json(record);
	if (len != sizeof(connection))
		return NULL;
	memcpy(&connection, record, sizeof(connection));
	return conn_json_ended(&connection.info);
}
