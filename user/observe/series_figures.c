// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/series_figures.h"

bool series_figures_failed(const struct observe_request *request)
{
	return request->status == 0 || request->status >= 500 || request->grpc_status > 0;
}

static void sum_add(struct aggregate_sum *sum, uint64_t value, bool first)
{
	sum->sum += value;
	if (first || value < sum->min)
		sum->min = value;
	if (first || value > sum->max)
		sum->max = value;
}

static void sum_merge(struct aggregate_sum *into, const struct aggregate_sum *from, bool first)
{
	into->sum += from->sum;
	if (first || from->min < into->min)
		into->min = from->min;
	if (first || from->max > into->max)
		into->max = from->max;
}

void series_figures_add(struct series_figures *figures, const struct observe_request *request,
			const struct aggregate_time *now)
{
	bool first = figures->count == 0;

	if (first)
		figures->first_seen_ms = now->wall_ms;
	figures->last_seen_ms = now->wall_ms;
	figures->count++;
	figures->failures += series_figures_failed(request);
	rate_add(&figures->rate, now->monotonic_ms);
	sum_add(&figures->request_bytes, request->request_bytes, first);
	sum_add(&figures->response_bytes, request->response_bytes, first);
	sum_add(&figures->request_body, request->request_body, first);
	sum_add(&figures->response_body, request->response_body, first);
	if (request->has_first_byte)
		(void)histogram_add(&figures->first_byte_us, request->first_byte_us);
	if (request->complete)
		(void)histogram_add(&figures->last_byte_us, request->last_byte_us);
}

void series_figures_merge(struct series_figures *into, const struct series_figures *from,
			  const struct aggregate_time *now)
{
	bool first = into->count == 0;

	if (from->count == 0)
		return;
	if (first || from->first_seen_ms < into->first_seen_ms)
		into->first_seen_ms = from->first_seen_ms;
	if (first || from->last_seen_ms > into->last_seen_ms)
		into->last_seen_ms = from->last_seen_ms;
	into->count += from->count;
	into->failures += from->failures;
	rate_merge(&into->rate, &from->rate, now->monotonic_ms);
	sum_merge(&into->request_bytes, &from->request_bytes, first);
	sum_merge(&into->response_bytes, &from->response_bytes, first);
	sum_merge(&into->request_body, &from->request_body, first);
	sum_merge(&into->response_body, &from->response_body, first);
	(void)histogram_merge(&into->first_byte_us, &from->first_byte_us);
	(void)histogram_merge(&into->last_byte_us, &from->last_byte_us);
}

int series_figures_copy(struct series *to, const struct series_figures *from,
			const struct aggregate_time *now)
{
	int ret;

	to->pid = from->pid;
	to->count = from->count;
	to->failures = from->failures;
	to->per_second = rate_read(&from->rate, now->monotonic_ms);
	to->request_bytes = from->request_bytes;
	to->response_bytes = from->response_bytes;
	to->request_body = from->request_body;
	to->response_body = from->response_body;
	to->first_seen_ms = from->first_seen_ms;
	to->last_seen_ms = from->last_seen_ms;
	ret = histogram_copy(&to->first_byte_us, &from->first_byte_us);
	if (ret)
		return ret;
	ret = histogram_copy(&to->last_byte_us, &from->last_byte_us);
	if (ret)
		histogram_free(&to->first_byte_us);
	return ret;
}

void series_figures_free(struct series_figures *figures)
{
	histogram_free(&figures->first_byte_us);
	histogram_free(&figures->last_byte_us);
}

size_t series_figures_memory(const struct series_figures *figures)
{
	return histogram_memory(&figures->first_byte_us) + histogram_memory(&figures->last_byte_us);
}
