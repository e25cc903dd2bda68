// SPDX-License-Identifier: GPL-2.0-or-later
/* The control command that switches, and what it tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "control_rig.h"

/* What the daemon was told to do: the rig's source has nothing to switch. */
struct switched {
	struct control_summary summary;
	int count;
	bool on;
	char by[CAPTURE_BY];
};

static void read_switched(void *ctx, struct control_summary *out)
{
	*out = ((struct switched *)ctx)->summary;
}

static void note_switch(void *ctx, bool on, const char *by)
{
	struct switched *switched = ctx;

	switched->count++;
	switched->on = on;
	snprintf(switched->by, sizeof(switched->by), "%s", by);
	if (switched->summary.capture.state != CAPTURE_NOT_CONFIGURED)
		switched->summary.capture.state = on ? CAPTURE_ON : CAPTURE_OFF;
	if (switched->summary.hook.state != CAPTURE_NOT_CONFIGURED)
		switched->summary.hook.state = on ? CAPTURE_ON : CAPTURE_OFF;
}

static struct control_source source_of(struct switched *switched)
{
	return (struct control_source){.ctx = switched,
				       .read_summary = read_switched,
				       .switch_capture = note_switch,
				       .client = "command of user 7, process 9"};
}

/* The "data" of an answer that is ok; what is returned first is to be freed. */
static cJSON *ask(const struct control_source *source, const char *action, const cJSON **data)
{
	char request[200];
	char *text;
	cJSON *json;

	snprintf(request, sizeof(request), "{\"version\":1,\"command\":\"capture\"%s%s}",
		 *action ? ",\"action\":" : "", action);
	text = control_answer(source, request, strlen(request));
	json = parse_answer(text);
	free(text);
	*data = cJSON_GetObjectItem(json, "data");
	return json;
}

static void check_refused(const struct control_source *source, const char *action, const char *why)
{
	const cJSON *data;
	cJSON *json = ask(source, action, &data);

	assert_null(data);
	assert_non_null(strstr(cJSON_GetObjectItem(json, "error")->valuestring, why));
	cJSON_Delete(json);
}

static void status_tells_everything(void **state)
{
	struct switched switched = {.summary.capture = {.state = CAPTURE_WITHDRAWN,
							.since_ms = 1700000000123,
							.keeper_pid = 42,
							.loaded = 3,
							.self_test_failed = 1,
							.withdrawn = {4, 5, 6, 7},
							.by = "watchdog",
							.why = "nothing moved"}};
	const struct control_source source = source_of(&switched);
	const cJSON *data, *counts;
	cJSON *json = ask(&source, "", &data);

	(void)state;
	check_text(data, "state", "withdrawn");
	check_text(data, "since", "2023-11-14T22:13:20.123Z");
	check_text(data, "by", "watchdog");
	check_text(data, "why", "nothing moved");
	check_number(data, "keeper", 42);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(data, "owner")));
	check_number(data, "loads", 3);
	check_number(data, "self_tests_failed", 1);
	counts = cJSON_GetObjectItem(data, "withdrawals");
	check_number(counts, "command", 4);
	check_number(counts, "watchdog", 5);
	check_number(counts, "keeper", 6);
	check_number(counts, "end", 7);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(data, "hook")));
	assert_int_equal(switched.count, 0);
	cJSON_Delete(json);
}

static void the_hook_alone_is_told_and_switched(void **state)
{
	struct switched switched = {.summary = {.hook = {.state = CAPTURE_WITHDRAWN,
							 .since_ms = 1700000000123,
							 .loaded = 3,
							 .self_test_failed = 1,
							 .withdrawn = {4, 5, 6, 7},
							 .by = "watchdog",
							 .why = "nothing moved"},
						.hook_wanted = 9,
						.hook_attached = 8}};
	const struct control_source source = source_of(&switched);
	const cJSON *data, *hook;
	cJSON *json = ask(&source, "", &data);

	(void)state;
	check_text(data, "state", "not_configured");
	hook = cJSON_GetObjectItem(data, "hook");
	check_text(hook, "state", "withdrawn");
	check_text(hook, "since", "2023-11-14T22:13:20.123Z");
	check_text(hook, "by", "watchdog");
	check_text(hook, "why", "nothing moved");
	check_number(hook, "loads", 3);
	check_number(hook, "self_tests_failed", 1);
	check_number(hook, "wanted", 9);
	check_number(hook, "attached", 8);
	check_number(cJSON_GetObjectItem(hook, "withdrawals"), "watchdog", 5);
	assert_null(cJSON_GetObjectItem(hook, "keeper"));
	cJSON_Delete(json);
	json = ask(&source, "\"off\"", &data);
	check_text(cJSON_GetObjectItem(data, "hook"), "state", "off");
	check_text(data, "state", "not_configured");
	cJSON_Delete(json);
	assert_int_equal(switched.count, 1);
}

static void on_and_off_say_who_asked(void **state)
{
	struct switched switched = {.summary.capture.state = CAPTURE_OFF};
	const struct control_source source = source_of(&switched);
	const cJSON *data;
	cJSON *json = ask(&source, "\"on\"", &data);

	(void)state;
	check_text(data, "state", "on");
	assert_true(switched.on);
	assert_string_equal(switched.by, "command of user 7, process 9");
	cJSON_Delete(json);
	json = ask(&source, "\"off\"", &data);
	check_text(data, "state", "off");
	assert_false(switched.on);
	cJSON_Delete(json);
	json = ask(&source, "\"status\"", &data);
	check_text(data, "state", "off");
	cJSON_Delete(json);
	assert_int_equal(switched.count, 2);
}

static void what_makes_no_sense_switches_nothing(void **state)
{
	struct switched switched = {.summary.capture.state = CAPTURE_ON};
	struct control_source source = source_of(&switched);

	(void)state;
	check_refused(&source, "\"toggle\"", "`action`");
	check_refused(&source, "1", "`action`");
	check_refused(&source, "null", "`action`");
	switched.summary.capture.state = CAPTURE_NOT_CONFIGURED;
	check_refused(&source, "\"on\"", "nothing to switch on");
	switched.summary.capture.state = CAPTURE_ON;
	source.switch_capture = NULL;
	check_refused(&source, "\"off\"", "nothing to switch off");
	assert_int_equal(switched.count, 0);
}

static void where_nothing_is_configured(void **state)
{
	struct switched switched = {.count = 0};
	const struct control_source source = source_of(&switched);
	const cJSON *data;
	cJSON *json = ask(&source, "", &data);

	(void)state;
	check_text(data, "state", "not_configured");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(data, "since")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(data, "by")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(data, "why")));
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_tells_everything),
		cmocka_unit_test(the_hook_alone_is_told_and_switched),
		cmocka_unit_test(on_and_off_say_who_asked),
		cmocka_unit_test(what_makes_no_sense_switches_nothing),
		cmocka_unit_test(where_nothing_is_configured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
