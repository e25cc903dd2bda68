// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/prometheus_labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/attribute.h"
#include "export/prometheus_write.h"

/* The text of a stream of labels, NULL when memory ran out on the way. */
static char *labels_finish(FILE *out, char **text)
{
	bool failed = ferror(out);

	if (fclose(out) == 0 && !failed)
		return *text;
	free(*text);
	return NULL;
}

static void write_text(FILE *out, const char *name, const char *value)
{
	prometheus_write_label(out, name, value, strlen(value));
}

static void write_server(FILE *out, const char *server_name, size_t max,
			 const union conn_address *address)
{
	struct attribute_address peer;

	attribute_address(address, &peer);
	prometheus_write_label(out, "server_address", server_name, max);
	write_text(out, "server_port", peer.port);
	write_text(out, "network_peer_address", peer.host);
}

static void write_key(FILE *out, const struct series_key *key, const char *template_name)
{
	char text[ATTRIBUTE_NUMBER_MAX];

	write_server(out, key->server_name, sizeof(key->server_name), &key->endpoint);
	prometheus_write_label(out, "http_request_method", key->method, sizeof(key->method));
	write_text(out, "url_scheme", attribute_scheme(!key->tls_version));
	prometheus_write_label(out, template_name, key->uri, sizeof(key->uri));
	write_text(out, "http_response_status_code", attribute_status(key->status, text));
	write_text(out, "rpc_grpc_status_code", attribute_grpc_status(key->grpc_status, text));
	write_text(out, "network_protocol_version", attribute_http_version(key->version));
	write_text(out, "tls_protocol_version", attribute_tls_version(key->tls_version, text));
	write_text(out, "tls_cipher", attribute_tls_cipher(key->tls_suite, text));
	prometheus_write_label(out, "process_command", key->command, sizeof(key->command));
	prometheus_write_label(out, "process_unit", key->unit, sizeof(key->unit));
}

static char *series_labels(const struct series *series, bool own)
{
	const struct series_key *key = &series->key;
	bool incoming = key->direction == OBSERVE_INCOMING;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (series->other) {
		write_text(out, "url_template", ATTRIBUTE_OTHER);
	} else {
		if (own)
			write_text(out, "direction", attribute_direction(key->direction));
		write_key(out, key, incoming && !own ? "http_route" : "url_template");
	}
	return labels_finish(out, &text);
}

int prometheus_labels_series(const struct series *series, struct prometheus_series_labels *out)
{
	out->http = series_labels(series, false);
	out->own = series_labels(series, true);
	if (out->http && out->own)
		return 0;
	prometheus_labels_free(out);
	return -ENOMEM;
}

void prometheus_labels_free(struct prometheus_series_labels *labels)
{
	free(labels->http);
	free(labels->own);
	labels->http = labels->own = NULL;
}

char *prometheus_labels_endpoint(const struct endpoint *endpoint)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (endpoint->other) {
		write_text(out, "server_address", ATTRIBUTE_OTHER);
	} else {
		write_text(out, "direction", attribute_direction(endpoint->direction));
		write_server(out, endpoint->server_name, sizeof(endpoint->server_name),
			     &endpoint->address);
	}
	return labels_finish(out, &text);
}

char *prometheus_labels_with(const char *labels, const char *name, const char *value)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs(labels, out);
	write_text(out, name, value);
	return labels_finish(out, &text);
}
