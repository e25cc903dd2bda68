// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "export/prometheus_families.h"
#include "export/prometheus_labels.h"
#include "export/prometheus_write.h"

#define OTHER_HELP                                                                                 \
	" url_template=\"other\" is the sum of all series beyond ksplit_series_limit, of both "    \
	"directions."

/* What the families of series are written from. */
struct series_view {
	const struct aggregate_snapshot *aggregate;
	const struct prometheus_series_labels *labels; /* one for each series */
};

static uint64_t get_count(const struct series *series)
{
	return series->count;
}

static uint64_t get_failures(const struct series *series)
{
	return series->failures;
}

static uint64_t get_request_bytes(const struct series *series)
{
	return series->request_bytes.sum;
}

static uint64_t get_response_bytes(const struct series *series)
{
	return series->response_bytes.sum;
}

static uint64_t get_request_body(const struct series *series)
{
	return series->request_body.sum;
}

static uint64_t get_response_body(const struct series *series)
{
	return series->response_body.sum;
}

static const struct counter_family {
	const char *name, *help;
	uint64_t (*get)(const struct series *series);
} counter_families[] = {
	{"ksplit_http_requests_total",
	 "HTTP requests that are over, also those that got no response (no status)." OTHER_HELP,
	 get_count},
	{"ksplit_http_request_failures_total",
	 "Of these: no response, status 500 and above, or a gRPC status other than 0.",
	 get_failures},
	{"ksplit_http_request_bytes_total", "Bytes of whole requests, heads and framing included.",
	 get_request_bytes},
	{"ksplit_http_response_bytes_total",
	 "Bytes of whole responses, heads and framing included.", get_response_bytes},
	{"ksplit_http_request_body_bytes_total", "Bytes of the bodies of requests.",
	 get_request_body},
	{"ksplit_http_response_body_bytes_total", "Bytes of the bodies of responses.",
	 get_response_body},
};

static void write_counters(FILE *out, const struct series_view *view,
			   const struct counter_family *family)
{
	prometheus_write_family(out, family->name, "counter", family->help);
	for (size_t i = 0; i < view->aggregate->series_len; i++)
		prometheus_write_count(out, family->name, view->labels[i].own,
				       family->get(&view->aggregate->series[i]));
}

/* OpenTelemetry's two histograms; "other", which is of both directions, is with the client's. */
static void write_durations(FILE *out, const struct series_view *view, const char *name,
			    bool incoming, const char *help)
{
	prometheus_write_family(out, name, "histogram", help);
	for (size_t i = 0; i < view->aggregate->series_len; i++) {
		const struct series *series = &view->aggregate->series[i];
		bool is_incoming = !series->other && series->key.direction == OBSERVE_INCOMING;

		if (is_incoming == incoming)
			prometheus_write_histogram(out, name, view->labels[i].http,
						   &series->last_byte_us, &prometheus_bounds_http);
	}
}

static void write_first_bytes(FILE *out, const struct series_view *view)
{
	static const char name[] = "ksplit_http_time_to_first_byte_seconds";

	prometheus_write_family(out, name, "histogram",
				"From a request's first byte to the first byte of its final "
				"response." OTHER_HELP);
	for (size_t i = 0; i < view->aggregate->series_len; i++)
		prometheus_write_histogram(out, name, view->labels[i].own,
					   &view->aggregate->series[i].first_byte_us,
					   &prometheus_bounds_http);
}

static void write_families(FILE *out, const struct series_view *view)
{
	for (size_t i = 0; i < sizeof(counter_families) / sizeof(counter_families[0]); i++)
		write_counters(out, view, &counter_families[i]);
	write_durations(out, view, "http_client_request_duration_seconds", false,
			"Outgoing calls: from a request's first byte to the last byte of its "
			"response." OTHER_HELP);
	write_durations(out, view, "http_server_request_duration_seconds", true,
			"Incoming calls: from a request's first byte to the last byte of its "
			"response.");
	write_first_bytes(out, view);
}

int prometheus_families_series(FILE *out, const struct aggregate_snapshot *aggregate)
{
	size_t made = 0, len = aggregate->series_len;
	struct prometheus_series_labels *labels = calloc(len + 1, sizeof(*labels));
	struct series_view view = {aggregate, labels};
	int err = labels ? 0 : -ENOMEM;

	while (!err && made < len) {
		err = prometheus_labels_series(&aggregate->series[made], &labels[made]);
		if (!err)
			made++;
	}
	if (!err)
		write_families(out, &view);
	while (made)
		prometheus_labels_free(&labels[--made]);
	free(labels);
	return err;
}
