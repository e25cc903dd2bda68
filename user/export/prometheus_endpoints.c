// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "export/prometheus_families.h"
#include "export/prometheus_labels.h"
#include "export/prometheus_write.h"

/* A family has one sample for each endpoint, with one more label where that is named. */
struct endpoint_family {
	const char *name, *type, *help;
	size_t offset; /* of a uint64_t or a struct histogram in struct endpoint */
	const char *label, *value;
	const struct prometheus_bounds *bounds; /* histograms only */
};

#define COUNTER    "counter"
#define AT(member) offsetof(struct endpoint, member)

/* Neighbours of one name are one family. */
static const struct endpoint_family families[] = {
	{"ksplit_connections_total", COUNTER,
	 "Connections to an origin; server_address=\"other\" is the sum of all beyond "
	 "ksplit_endpoints_limit.",
	 AT(connections), NULL, NULL, NULL},
	{"ksplit_connections_open", "gauge", "Of these still open.", AT(open), NULL, NULL, NULL},
	{"ksplit_connections_raw_total", COUNTER, "Of these passed through unread.", AT(passed),
	 NULL, NULL, NULL},
	{"ksplit_connections_failed_total", COUNTER, "Of these ended before bytes could flow.",
	 AT(failed), NULL, NULL, NULL},
	{"ksplit_endpoint_http_requests_total", COUNTER, "HTTP requests to an origin.",
	 AT(requests), NULL, NULL, NULL},
	{"ksplit_endpoint_http_request_failures_total", COUNTER,
	 "Of these: no response, status 500 and above, or a gRPC status other than 0.",
	 AT(failures), NULL, NULL, NULL},
	{"ksplit_relayed_bytes_total", COUNTER, "Bytes relayed by connections that have ended.",
	 AT(bytes_to_origin), "flow", "to_origin", NULL},
	{"ksplit_relayed_bytes_total", COUNTER, NULL, AT(bytes_to_client), "flow", "to_client",
	 NULL},
	{"ksplit_relayed_flows_total", COUNTER,
	 "Flows (two a connection) by the relay that carried them last.",
	 AT(relayed[CONN_RELAY_NONE]), "relay", "none", NULL},
	{"ksplit_relayed_flows_total", COUNTER, NULL, AT(relayed[CONN_RELAY_SPLICE]), "relay",
	 "splice", NULL},
	{"ksplit_relayed_flows_total", COUNTER, NULL, AT(relayed[CONN_RELAY_COPY]), "relay", "copy",
	 NULL},
	{"ksplit_relayed_flows_total", COUNTER, NULL, AT(relayed[CONN_RELAY_USER]), "relay", "user",
	 NULL},
	{"ksplit_relayed_flows_total", COUNTER, NULL, AT(relayed[CONN_RELAY_RAW]), "relay", "raw",
	 NULL},
	{"ksplit_ktls_directions_total", COUNTER,
	 "TLS directions (four a connection) that were in kernel TLS.", AT(kernel_directions), NULL,
	 NULL, NULL},
	{"ksplit_tls_directions_total", COUNTER, "TLS directions (four a connection).",
	 AT(directions), NULL, NULL, NULL},
	{"ksplit_tcp_retransmits_total", COUNTER, "TCP segments sent again to an origin.",
	 AT(retransmits), NULL, NULL, NULL},
	{"ksplit_tcp_connect_duration_seconds", "histogram", "TCP connect to an origin.",
	 AT(connect_us), NULL, NULL, &prometheus_bounds_network},
	{"ksplit_tcp_rtt_seconds", "histogram", "TCP round trip to an origin.", AT(rtt_us), NULL,
	 NULL, &prometheus_bounds_network},
	{"ksplit_tls_handshake_duration_seconds", "histogram", "TLS handshakes of either side.",
	 AT(upstream_handshake_us), "side", "origin", &prometheus_bounds_network},
	{"ksplit_tls_handshake_duration_seconds", "histogram", NULL, AT(client_handshake_us),
	 "side", "client", &prometheus_bounds_network},
	{"ksplit_leaf_duration_seconds", "histogram",
	 "Time until the forged leaf was there, from the cache or new.", AT(leaf_us), NULL, NULL,
	 &prometheus_bounds_network},
	{"ksplit_connection_duration_seconds", "histogram", "Life of connections that have ended.",
	 AT(lifetime_us), NULL, NULL, &prometheus_bounds_lifetime},
};

static void write_sample(FILE *out, const struct endpoint_family *family, const char *labels,
			 const struct endpoint *endpoint)
{
	const void *member = (const char *)endpoint + family->offset;

	if (family->bounds)
		prometheus_write_histogram(out, family->name, labels, member, family->bounds);
	else
		prometheus_write_count(out, family->name, labels, *(const uint64_t *)member);
}

/* 0 or -ENOMEM. */
static int write_family(FILE *out, const struct endpoint_family *family,
			const struct aggregate_snapshot *aggregate, char *const *labels)
{
	char *more;

	if (family->help)
		prometheus_write_family(out, family->name, family->type, family->help);
	for (size_t i = 0; i < aggregate->endpoints_len; i++) {
		const struct endpoint *endpoint = &aggregate->endpoints[i];

		if (!family->label) {
			write_sample(out, family, labels[i], endpoint);
			continue;
		}
		more = prometheus_labels_with(labels[i], family->label, family->value);
		if (!more)
			return -ENOMEM;
		write_sample(out, family, more, endpoint);
		free(more);
	}
	return 0;
}

int prometheus_families_endpoints(FILE *out, const struct aggregate_snapshot *aggregate)
{
	size_t made = 0, len = aggregate->endpoints_len;
	char **labels = calloc(len + 1, sizeof(*labels));
	int err = labels ? 0 : -ENOMEM;

	for (; !err && made < len; made++) {
		labels[made] = prometheus_labels_endpoint(&aggregate->endpoints[made]);
		if (!labels[made])
			err = -ENOMEM;
	}
	for (size_t i = 0; !err && i < sizeof(families) / sizeof(families[0]); i++)
		err = write_family(out, &families[i], aggregate, labels);
	while (made)
		free(labels[--made]);
	free(labels);
	return err;
}
