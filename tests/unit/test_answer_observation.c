// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "conn_maker.h"
#include "export/control.h"
#include "series_maker.h"

/* What the source behind the socket says. */
struct observed {
	size_t rows;
	bool other;
	int err;
	bool no_sampler;
};

static void read_stats(void *ctx, struct stats_sum *out)
{
	(void)ctx;
	memset(out, 0, sizeof(*out));
}

static void read_summary(void *ctx, struct control_summary *out)
{
	(void)ctx;
	*out = (struct control_summary){.version = "1.2.3"};
}

static int read_aggregate(void *ctx, struct aggregate_snapshot *out)
{
	const struct observed *observed = ctx;

	return observed->err ? observed->err : make_snapshot(out, observed->rows, observed->other);
}

static void read_observer(void *ctx, struct observer_status *out)
{
	const struct observed *observed = ctx;

	if (observed->no_sampler) {
		*out = (struct observer_status){.why = "switched off", .timings = true};
		return;
	}
	*out = (struct observer_status){
		.kernel_tls = KSPLIT_SAMPLER_FENTRY,
		.plain = KSPLIT_SAMPLER_SK_MSG,
		.user = KSPLIT_SAMPLER_USER,
		.why = "fentry works here",
		.timings = true,
		.timings_why = "left over",
		.processes_why = "no cgroup of version 2",
		.pins = "/sys/fs/bpf/ksplit/1",
		.ring_bytes = 8388608,
		.connections = {[KSPLIT_SAMPLER_FENTRY] = 11, [KSPLIT_SAMPLER_USER] = 12},
		.events = {[KSPLIT_SAMPLER_SK_MSG] = 13},
		.ring_dropped = 14,
		.queue_dropped = 15,
		.lost_bytes = 16,
		.troubles = {[HTTP_TROUBLE_GAP] = 17, [HTTP_TROUBLE_TOO_MANY] = 18},
		.requests = 123456789012,
		.not_http = 19,
	};
}

static cJSON *ask(struct observed *observed, const char *command)
{
	const struct control_source source = {
		.ctx = observed,
		.read_stats = read_stats,
		.read_summary = read_summary,
		.read_aggregate = observed ? read_aggregate : NULL,
		.read_observer = observed ? read_observer : NULL,
	};
	char line[80], *text;
	cJSON *json;

	snprintf(line, sizeof(line), "{\"version\":1,\"command\":\"%s\"}", command);
	text = control_answer(&source, line, strlen(line));
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	json = cJSON_Parse(text);
	assert_non_null(json);
	free(text);
	return json;
}

static void check_counts(const cJSON *rows, const char *name, const char *inner,
			 const double *expected)
{
	const cJSON *row;

	cJSON_ArrayForEach(row, rows)
	{
		const cJSON *object = inner ? cJSON_GetObjectItem(row, inner) : row;

		assert_true(cJSON_GetObjectItemCaseSensitive(object, name)->valuedouble ==
			    *expected++);
	}
}

static void requests_come_heaviest_first(void **state)
{
	static const double expected[] = {3, 2, 1, 6}; /* the last one is "other" */
	struct observed observed = {.rows = 3, .other = true};
	cJSON *json = ask(&observed, "requests");
	const cJSON *series;

	(void)state;
	check_bool(json, "ok", true);
	check_bool(json, "data.on", true);
	check_null(json, "data.why");
	check_number(json, "data.requests", 123456789012);
	check_number(json, "data.series_kept", 4);
	check_number(json, "data.max_series", 2000);
	check_number(json, "data.series_evicted", 77);
	check_number(json, "data.memory_bytes", 4096);
	check_text(json, "data.time", "2026-01-01T12:00:01.000Z");
	check_text(json, "data.start_time", "2026-01-01T12:00:00.123Z");
	series = json_at(json, "data.series");
	assert_int_equal(cJSON_GetArraySize(series), 4);
	check_counts(series, "http.request_response.count", NULL, expected);
	check_bool(cJSON_GetArrayItem(series, 3), "other", true);
	cJSON_Delete(json);
}

static void endpoints_come_heaviest_first(void **state)
{
	static const double expected[] = {3, 2, 1, 6};
	struct observed observed = {.rows = 3, .other = true};
	cJSON *json = ask(&observed, "endpoints");
	const cJSON *endpoints = json_at(json, "data.endpoints");

	(void)state;
	check_number(json, "data.endpoints_kept", 4);
	check_number(json, "data.max_endpoints", 1000);
	assert_int_equal(cJSON_GetArraySize(endpoints), 4);
	check_counts(endpoints, "total", "connections", expected);
	cJSON_Delete(json);
}

static void nothing_seen_yet(void **state)
{
	struct observed observed = {.rows = 0};
	cJSON *json = ask(&observed, "requests");

	(void)state;
	check_bool(json, "data.on", true);
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.series")), 0);
	cJSON_Delete(json);
}

/* However many there are, an answer has an end; "other" is never what is left out. */
static void an_answer_is_bounded(void **state)
{
	struct observed observed = {.rows = 10005, .other = true};
	cJSON *json = ask(&observed, "requests");
	const cJSON *series = json_at(json, "data.series");
	static const double first[] = {10005};
	cJSON *one;

	(void)state;
	check_number(json, "data.series_kept", 10006);
	assert_int_equal(cJSON_GetArraySize(series), 10001);
	one = cJSON_CreateArray();
	cJSON_AddItemReferenceToArray(one, cJSON_GetArrayItem(series, 0));
	check_counts(one, "http.request_response.count", NULL, first);
	cJSON_Delete(one);
	check_bool(cJSON_GetArrayItem(series, 10000), "other", true);
	check_bool(cJSON_GetArrayItem(series, 9999), "other", false);
	cJSON_Delete(json);
}

static void observation_that_is_off_is_said(void **state)
{
	static const char *const commands[] = {"requests", "endpoints"};
	cJSON *json;

	(void)state;
	for (int i = 0; i < 2; i++) {
		json = ask(NULL, commands[i]);
		check_bool(json, "ok", true);
		check_bool(json, "data.on", false);
		check_text(json, "data.why", "observation is off (sampler off)");
		cJSON_Delete(json);
	}
	json = ask(NULL, "kernel");
	check_bool(json, "data.sampler.on", false);
	check_text(json, "data.sampler.why", "observation is off (sampler off)");
	cJSON_Delete(json);
	json = ask(NULL, "summary");
	check_bool(json, "data.observation.on", false);
	cJSON_Delete(json);
}

/* An observer without a sampler: it knows of connections, and of no request. */
static void no_sampler_is_said(void **state)
{
	struct observed observed = {.rows = 1, .no_sampler = true};
	cJSON *json = ask(&observed, "requests");

	(void)state;
	check_bool(json, "data.on", false);
	check_text(json, "data.why", "switched off");
	cJSON_Delete(json);
	json = ask(&observed, "endpoints");
	check_bool(json, "data.on", true);
	assert_int_equal(cJSON_GetArraySize(json_at(json, "data.endpoints")), 1);
	cJSON_Delete(json);
	json = ask(&observed, "kernel");
	check_bool(json, "data.sampler.on", false);
	check_text(json, "data.sampler.why", "switched off");
	check_bool(json, "data.sampler.timings.attached", true);
	cJSON_Delete(json);
	json = ask(&observed, "summary");
	check_bool(json, "data.observation.on", false);
	cJSON_Delete(json);
}

static void no_memory_is_said(void **state)
{
	struct observed observed = {.err = -ENOMEM};
	cJSON *json = ask(&observed, "requests");

	(void)state;
	check_bool(json, "ok", false);
	check_text(json, "error", "out of memory");
	cJSON_Delete(json);
}

static void kernel_says_how_it_samples(void **state)
{
	struct observed observed = {0};
	cJSON *json = ask(&observed, "kernel");
	const cJSON *sampler = json_at(json, "data.sampler");

	(void)state;
	check_bool(sampler, "on", true);
	check_text(sampler, "why", "fentry works here");
	check_text(sampler, "kernel_tls", "fentry");
	check_text(sampler, "plain", "sk_msg");
	check_text(sampler, "user", "user");
	check_bool(sampler, "timings.attached", true);
	check_null(sampler, "timings.why");
	check_bool(sampler, "processes.attached", false);
	check_text(sampler, "processes.why", "no cgroup of version 2");
	check_text(sampler, "pins", "/sys/fs/bpf/ksplit/1");
	check_number(sampler, "ring_bytes", 8388608);
	check_number(sampler, "connections.fentry", 11);
	check_number(sampler, "connections.sk_msg", 0);
	check_number(sampler, "connections.user", 12);
	check_number(sampler, "events.sk_msg", 13);
	check_number(sampler, "ring_dropped", 14);
	check_number(sampler, "queue_dropped", 15);
	check_number(sampler, "lost_bytes", 16);
	check_number(sampler, "troubles.gap", 17);
	check_number(sampler, "troubles.sampler", 0);
	check_number(sampler, "troubles.malformed", 0);
	check_number(sampler, "troubles.too_many", 18);
	check_number(sampler, "requests", 123456789012);
	check_number(sampler, "not_http", 19);
	assert_int_equal(cJSON_GetArraySize(json_at(sampler, "connections")), 3);
	cJSON_Delete(json);
}

static void summary_has_totals(void **state)
{
	struct observed observed = {0};
	cJSON *json = ask(&observed, "summary");
	const cJSON *observation = json_at(json, "data.observation");

	(void)state;
	check_bool(observation, "on", true);
	check_text(observation, "kernel_tls", "fentry");
	check_number(observation, "requests", 123456789012);
	check_number(observation, "not_http", 19);
	check_number(observation, "events_dropped", 29);
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_heaviest_first),
		cmocka_unit_test(endpoints_come_heaviest_first),
		cmocka_unit_test(nothing_seen_yet),
		cmocka_unit_test(an_answer_is_bounded),
		cmocka_unit_test(observation_that_is_off_is_said),
		cmocka_unit_test(no_sampler_is_said),
		cmocka_unit_test(no_memory_is_said),
		cmocka_unit_test(kernel_says_how_it_samples),
		cmocka_unit_test(summary_has_totals),
	};

	return cmocka_run_group_tests_name("answer_observation", tests, NULL, NULL);
}
