/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_OTLP_READER_H
#define KSPLIT_TESTS_OTLP_READER_H

/* What is in an export request. Include after snapshot_maker.h. */

static inline cJSON *member(const cJSON *of, const char *name)
{
	cJSON *found = cJSON_GetObjectItemCaseSensitive(of, name);

	assert_non_null(found);
	return found;
}

static inline cJSON *request_parse(const struct made_input *m, size_t part)
{
	char *text = otlp_json_request(&m->input, part);
	cJSON *root;

	assert_non_null(text);
	root = cJSON_Parse(text);
	assert_non_null(root);
	cJSON_free(text);
	return root;
}

static inline cJSON *metrics_of(const cJSON *root)
{
	cJSON *scopes =
		member(cJSON_GetArrayItem(member(root, "resourceMetrics"), 0), "scopeMetrics");

	return member(cJSON_GetArrayItem(scopes, 0), "metrics");
}

/* NULL: not there. */
static inline cJSON *metric_find(const cJSON *root, const char *name)
{
	cJSON *metric;

	cJSON_ArrayForEach(metric, metrics_of(root)) if (strcmp(member(metric, "name")->valuestring,
								name) == 0) return metric;
	return NULL;
}

static inline cJSON *points_of(const cJSON *root, const char *name)
{
	cJSON *metric = metric_find(root, name), *data;

	assert_non_null(metric);
	data = cJSON_GetObjectItem(metric, "histogram");
	return member(data ? data : member(metric, "sum"), "dataPoints");
}

/* The value of an attribute as text; "" none. */
static inline const char *attribute(const cJSON *owner, const char *key)
{
	const cJSON *pair;

	cJSON_ArrayForEach(pair, member(owner, "attributes"))
	{
		const cJSON *value = member(pair, "value")->child;

		if (strcmp(member(pair, "key")->valuestring, key) != 0)
			continue;
		return cJSON_IsBool(value) ? "true" : value->valuestring;
	}
	return "";
}

static inline uint64_t u64_of(const cJSON *item)
{
	assert_true(cJSON_IsString(item));
	return strtoull(item->valuestring, NULL, 10);
}

static inline uint64_t u64(const cJSON *of, const char *name)
{
	return u64_of(member(of, name));
}

#endif
