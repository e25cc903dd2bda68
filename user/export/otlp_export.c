// SPDX-License-Identifier: GPL-2.0-or-later
#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "export/otlp_json.h"
#include "export/otlp_queue.h"

struct otlp_export *otlp_export_new(size_t requests)
{
	struct otlp_export *export =
		calloc(1, sizeof(*export) + requests * sizeof(export->requests[0]));

	if (export)
		export->len = requests;
	return export;
}

void otlp_export_free(struct otlp_export *export)
{
	if (!export)
		return;
	for (size_t i = 0; i < export->len; i++)
		cJSON_free(export->requests[i]);
	free(export);
}

static struct otlp_export *export_make(const struct otlp_input *input)
{
	struct otlp_export *export = otlp_export_new(otlp_json_parts(input->snapshot));

	for (size_t i = 0; export && i < export->len; i++) {
		export->requests[i] = otlp_json_request(input, i);
		if (!export->requests[i]) {
			otlp_export_free(export);
			return NULL;
		}
		export->bytes += strlen(export->requests[i]);
	}
	return export;
}

struct otlp_export *otlp_export_take(const struct metrics_source *source, const char *host)
{
	struct aggregate_snapshot snapshot;
	struct observer_status observer;
	struct control_summary summary;
	struct stats_sum stats;
	struct otlp_input input = {&snapshot, &stats, &summary, &observer, host};
	struct otlp_export *export;

	if (source->read_aggregate(source->ctx, &snapshot) != 0)
		return NULL;
	source->read_stats(source->ctx, &stats);
	source->read_summary(source->ctx, &summary);
	source->read_observer(source->ctx, &observer);
	export = export_make(&input);
	aggregate_snapshot_free(&snapshot);
	return export;
}
