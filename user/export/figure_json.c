// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/figure_json.h"

#include <math.h>
#include <stdio.h>

#include "export/json_add.h"

bool figure_json_real(cJSON *to, const char *name, double value)
{
	char text[340]; /* the largest double has 309 digits */

	if (!isfinite(value))
		return json_add_text(to, name, NULL);
	snprintf(text, sizeof(text), "%.3f", value);
	return json_add_item(to, name, cJSON_CreateRaw(text));
}

static bool add_quantile(cJSON *to, const char *name, const struct histogram *us, double q)
{
	return figure_json_real(to, name, histogram_quantile(us, q) / 1000);
}

static bool add_range(cJSON *to, const struct histogram *us)
{
	return figure_json_real(to, "avg", histogram_average(us) / 1000) &&
	       json_add_ms(to, "min", us->min) && json_add_ms(to, "max", us->max);
}

static bool add_quantiles(cJSON *to, const struct histogram *us)
{
	return add_quantile(to, "p50", us, 0.5) && add_quantile(to, "p90", us, 0.9) &&
	       add_quantile(to, "p99", us, 0.99);
}

bool figure_json_latency(cJSON *to, const char *name, const struct histogram *us)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);

	return object && json_add_u64(object, "count", us->count) &&
	       json_add_ms(object, "sum", us->sum) && add_range(object, us) &&
	       figure_json_real(object, "std_dev", histogram_std_dev(us) / 1000) &&
	       add_quantiles(object, us) && add_quantile(object, "p99_9", us, 0.999);
}

bool figure_json_times(cJSON *to, const char *name, const struct histogram *us)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);

	return object && json_add_u64(object, "count", us->count) && add_range(object, us) &&
	       add_quantiles(object, us);
}

bool figure_json_sum(cJSON *to, const char *name, const struct aggregate_sum *sum, uint64_t count)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);
	double average = count ? (double)sum->sum / (double)count : 0;

	return object && json_add_u64(object, "sum", sum->sum) &&
	       figure_json_real(object, "avg", average) && json_add_u64(object, "min", sum->min) &&
	       json_add_u64(object, "max", sum->max);
}
