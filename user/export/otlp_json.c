// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "export/json_add.h"
#include "export/otlp_point.h"

#define HOST_MAX 256

bool otlp_attribute_direction(cJSON *attributes, enum observe_direction direction)
{
	return otlp_attribute_text(attributes, "ksplit.direction",
				   direction == OBSERVE_INCOMING ? "incoming" : "outgoing");
}

/* The address without its port; false: none. v4-mapped IPv6 prints as IPv4. */
static bool address_print(const union conn_address *address, char *text, size_t len, uint16_t *port)
{
	const struct in6_addr *in6 = &address->in6.sin6_addr;

	if (address->sa.sa_family == AF_INET) {
		*port = ntohs(address->in.sin_port);
		return inet_ntop(AF_INET, &address->in.sin_addr, text, (socklen_t)len);
	}
	if (address->sa.sa_family != AF_INET6)
		return false;
	*port = ntohs(address->in6.sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(in6))
		return inet_ntop(AF_INET, &in6->s6_addr[12], text, (socklen_t)len);
	return inet_ntop(AF_INET6, in6, text, (socklen_t)len);
}

bool otlp_attribute_server(cJSON *attributes, const char *name, size_t name_len,
			   const union conn_address *address)
{
	char text[INET6_ADDRSTRLEN];
	uint16_t port;
	bool known = address_print(address, text, sizeof(text), &port);

	if (!name[0] && known)
		name = text, name_len = sizeof(text);
	return otlp_attribute_foreign(attributes, "server.address", name, name_len) &&
	       (!known || (otlp_attribute_int(attributes, "server.port", port) &&
			   otlp_attribute_text(attributes, "network.peer.address", text) &&
			   otlp_attribute_int(attributes, "network.peer.port", port)));
}

/* The name that two daemons of one host do not share. */
static bool add_instance(cJSON *attributes, const struct otlp_input *input)
{
	char instance[HOST_MAX + 16];

	snprintf(instance, sizeof(instance), "%.*s:%d", HOST_MAX - 1, input->host,
		 input->summary->pid);
	return otlp_attribute_foreign(attributes, "service.instance.id", instance,
				      sizeof(instance));
}

static bool add_resource(cJSON *to, const struct otlp_input *input)
{
	cJSON *resource = cJSON_CreateObject(), *attributes = cJSON_CreateArray();

	if (!json_add_item(to, "resource", resource)) {
		cJSON_Delete(attributes);
		return false;
	}
	return json_add_item(resource, "attributes", attributes) &&
	       otlp_attribute_text(attributes, "service.name", "ksplit") &&
	       otlp_attribute_text(attributes, "service.version", input->summary->version) &&
	       add_instance(attributes, input) &&
	       otlp_attribute_foreign(attributes, "host.name", input->host, HOST_MAX) &&
	       otlp_attribute_text(attributes, "os.type", "linux") &&
	       otlp_attribute_text(attributes, "process.executable.name", "ksplitd") &&
	       otlp_attribute_int(attributes, "process.pid", input->summary->pid);
}

static bool add_scope(cJSON *to, const struct otlp_input *input)
{
	cJSON *scope = cJSON_CreateObject();

	return json_add_item(to, "scope", scope) && json_add_text(scope, "name", "ksplit") &&
	       json_add_text(scope, "version", input->summary->version);
}

static struct otlp_range range_of(size_t part, size_t len)
{
	struct otlp_range range = {part * OTLP_PART_SERIES, (part + 1) * OTLP_PART_SERIES};

	if (range.first > len)
		range.first = len;
	if (range.end > len)
		range.end = len;
	return range;
}

/* Metrics of which there is no point yet, histograms without a value for instance. */
static void drop_empty(cJSON *metrics)
{
	cJSON *metric = metrics->child;

	while (metric) {
		cJSON *next = metric->next, *data = cJSON_GetObjectItem(metric, "histogram");

		if (!data)
			data = cJSON_GetObjectItem(metric, "sum");
		if (cJSON_GetArraySize(cJSON_GetObjectItem(data, "dataPoints")) == 0)
			cJSON_Delete(cJSON_DetachItemViaPointer(metrics, metric));
		metric = next;
	}
}

static bool add_metrics(cJSON *to, const struct otlp_input *input, size_t part)
{
	const struct aggregate_snapshot *snapshot = input->snapshot;
	struct otlp_range series = range_of(part, snapshot->series_len);
	struct otlp_range endpoints = range_of(part, snapshot->endpoints_len);
	cJSON *metrics = cJSON_CreateArray();

	if (!json_add_item(to, "metrics", metrics) ||
	    !otlp_series_add(metrics, snapshot, &series) ||
	    !otlp_endpoints_add(metrics, snapshot, &endpoints) ||
	    (part == 0 && !otlp_daemon_add(metrics, input)))
		return false;
	drop_empty(metrics);
	return true;
}

/* An array of one object, in `to`; the object is returned. */
static cJSON *add_single(cJSON *to, const char *name)
{
	cJSON *array = cJSON_CreateArray(), *object;

	if (!json_add_item(to, name, array))
		return NULL;
	object = cJSON_CreateObject();
	if (object && cJSON_AddItemToArray(array, object))
		return object;
	cJSON_Delete(object);
	return NULL;
}

size_t otlp_json_parts(const struct aggregate_snapshot *snapshot)
{
	size_t most = snapshot->series_len > snapshot->endpoints_len ? snapshot->series_len
								     : snapshot->endpoints_len;

	return most ? (most + OTLP_PART_SERIES - 1) / OTLP_PART_SERIES : 1;
}

char *otlp_json_request(const struct otlp_input *input, size_t part)
{
	cJSON *request = cJSON_CreateObject();
	cJSON *of_resource = add_single(request, "resourceMetrics");
	bool ok = of_resource && add_resource(of_resource, input);
	cJSON *of_scope = ok ? add_single(of_resource, "scopeMetrics") : NULL;
	char *text = NULL;

	if (of_scope && add_scope(of_scope, input) && add_metrics(of_scope, input, part))
		text = cJSON_PrintUnformatted(request);
	cJSON_Delete(request);
	return text;
}
