// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/metrics_moment.h"

#include <string.h>

int metrics_moment_read(const struct metrics_source *source, struct metrics_moment *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = source->read_aggregate(source->ctx, &out->aggregate);
	if (err)
		return err;
	if (source->read_certs)
		err = source->read_certs(source->ctx, &out->certs);
	if (err) {
		aggregate_snapshot_free(&out->aggregate);
		return err;
	}
	source->read_stats(source->ctx, &out->stats);
	source->read_summary(source->ctx, &out->summary);
	source->read_observer(source->ctx, &out->observer);
	out->has_otlp = source->read_otlp && source->read_otlp(source->ctx, &out->otlp);
	return 0;
}

void metrics_moment_free(struct metrics_moment *moment)
{
	control_certs_free(&moment->certs);
	aggregate_snapshot_free(&moment->aggregate);
}
