// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <ksplit/control.h>

#include "config_read.h"
#include "config_same.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void assert_refused(const char *text, const char *expected)
{
	struct config config;
	char error[1024];

	assert_int_equal(config_read_text(&config, text, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	config_free(&config);
}

static void test_defaults(void **state)
{
	const struct config expected = {
		.leaf_key_type = CONFIG_TEXT("P-256"),
		.leaf_cache = 4096,
		.sign_rate = 1000,
		.signer_user = CONFIG_TEXT("nobody"),
		.verify = VERIFY_MIMIC,
		.relay = RELAY_AUTO,
		.ktls = KTLS_AUTO,
		.sampler = SAMPLER_AUTO,
		.sampling = {.attach = ATTACH_AUTO,
			     .head_bytes = 512,
			     .ring_bytes = 2097152,
			     .queue_bytes = 4194304,
			     .timings = true,
			     .processes = true},
		.metrics = {.prometheus = CONFIG_TEXT(""),
			    .otlp_endpoint = CONFIG_TEXT(""),
			    .otlp_interval = 10000,
			    .otlp_timeout = 5000,
			    .otlp_queue = 30,
			    .max_series = 2000,
			    .max_endpoints = 1000},
		.control = CONFIG_TEXT(KSPLIT_CONTROL_PATH),
		.access_log_requests = true,
		.gcm_records = 23726566,
		.sessions = {.upstream_cache = 4096,
			     .upstream_lifetime_s = 300,
			     .upstream_tickets = true,
			     .client_cache = 4096,
			     .client_tickets = true,
			     .rotation_s = 3600},
		.deadlines = {.peek = 10000,
			      .resolve = 5000,
			      .connect = 10000,
			      .upstream_handshake = 10000,
			      .client_handshake = 10000,
			      .idle = 600000,
			      .close = 10000,
			      .drain = 30000},
		.log_level = LOG_LEVEL_INFO,
	};
	struct config config;

	(void)state;
	config_init(&config);
	config_expect_same(&config, &expected);
	config_free(&config);
	/* Twice does no harm. */
	config_free(&config);
}

static const char everything[] =
	"\xef\xbb\xbf// a comment\n"
	"{ \"ca\": {\"cert\": \"/c.pem\", \"key\": \"/k.pem\", \"leaf_key\": \"RSA-2048\",\n"
	"          \"leaf_cache\": 16, \"sign_rate\": 7, \"signer_user\": \"s\"},\n"
	"  \"listeners\": [ /* two */ {\"listen\": \"127.0.0.1:8443\", \"to\": \"tproxy\"},\n"
	"    {\"to\": \"example.com:443\", \"listen\": \"[::1]:0\"}],\n"
	"  \"upstream\": {\"ca\": \"/u.pem\", \"verify\": \"require\"},\n"
	"  \"relay\": \"copy\", \"ktls\": \"require\", \"access_log\": \"/log\",\n"
	"  \"control\": \"\", \"workers\": 1024, \"sampler\": \"bpf\",\n"
	"  \"sampling\": {\"attach\": \"sk_msg\", \"head_bytes\": 4096, \"ring_bytes\": 65536,\n"
	"     \"queue_bytes\": 1073741824, \"timings\": false, \"processes\": false},\n"
	"  \"metrics\": {\"prometheus\": \":9464\", \"max_series\": 1, \"max_endpoints\": "
	"1000000,\n"
	"     \"otlp\": {\"endpoint\": \"http://h:4318/v1/metrics\", \"interval_ms\": 100,\n"
	"        \"timeout_ms\": 101, \"queue\": 1000}},\n"
	"  \"access_log_requests\": false,\n"
	"  \"sessions\": {\"upstream\": {\"cache\": 0, \"lifetime_s\": 604800, \"tickets\": "
	"false},\n"
	"     \"client\": {\"cache\": 1048576, \"tickets\": false, \"rotation_s\": 1}},\n"
	"  \"limits\": {\"max_connections\": 2147483647, \"deadlines_ms\": {\"peek\": 1,\n"
	"     \"resolve\": 2, \"connect\": 3, \"upstream_handshake\": 4, \"client_handshake\": 5,\n"
	"     \"idle\": 604800000, \"close\": 7, \"drain\": 8e0}},\n"
	"  \"log_level\": \"debug\", \"user\": \"u\", \"foreground\": true }\n// end";

static void test_everything(void **state)
{
	const struct config expected = {
		.listeners = {{.destination = DESTINATION_TPROXY},
			      {.destination = DESTINATION_STATIC,
			       .host = "example.com",
			       .port = 443}},
		.listeners_len = 2,
		.ca_cert = CONFIG_TEXT("/c.pem"),
		.ca_key = CONFIG_TEXT("/k.pem"),
		.leaf_key_type = CONFIG_TEXT("RSA-2048"),
		.leaf_cache = 16,
		.sign_rate = 7,
		.signer_user = CONFIG_TEXT("s"),
		.upstream_ca = CONFIG_TEXT("/u.pem"),
		.verify = VERIFY_REQUIRE,
		.relay = RELAY_COPY,
		.ktls = KTLS_REQUIRE,
		.sampler = SAMPLER_BPF,
		.sampling = {.attach = ATTACH_SK_MSG,
			     .head_bytes = 4096,
			     .ring_bytes = 65536,
			     .queue_bytes = 1073741824},
		.metrics = {.prometheus = CONFIG_TEXT(":9464"),
			    .otlp_endpoint = CONFIG_TEXT("http://h:4318/v1/metrics"),
			    .otlp_interval = 100,
			    .otlp_timeout = 101,
			    .otlp_queue = 1000,
			    .max_series = 1,
			    .max_endpoints = 1000000},
		.control = CONFIG_TEXT(""),
		.access_log = CONFIG_TEXT("/log"),
		.workers = 1024,
		.max_connections = 2147483647,
		.gcm_records = 23726566,
		.sessions = {.upstream_lifetime_s = 604800,
			     .client_cache = 1048576,
			     .rotation_s = 1},
		.deadlines = {.peek = 1,
			      .resolve = 2,
			      .connect = 3,
			      .upstream_handshake = 4,
			      .client_handshake = 5,
			      .idle = 604800000,
			      .close = 7,
			      .drain = 8},
		.user = CONFIG_TEXT("u"),
		.foreground = true,
		.log_level = LOG_LEVEL_DEBUG,
	};
	struct config config;
	char error[1024];

	(void)state;
	assert_int_equal(config_read_text(&config, everything, error, sizeof(error)), 0);
	config_expect_same(&config, &expected);
	assert_int_equal(config_check(&config, error, sizeof(error)), 0);
	config_free(&config);
}

/* The example that is installed says what holds without it, so that a reader may start from it. */
static void test_example(void **state)
{
	struct config config, defaults, expected;
	char error[1024] = "";

	(void)state;
	config_init(&config);
	config_init(&defaults);
	if (config_read_file(&config, "docs/ksplit.json.example", error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(config_check(&config, error, sizeof(error)), 0);
	expected = defaults;
	/* What has no default. */
	expected.ca_cert = CONFIG_TEXT("/etc/ksplit/ca.pem");
	expected.ca_key = CONFIG_TEXT("/etc/ksplit/ca.key");
	expected.listeners_len = 2;
	expected.listeners[0].destination = DESTINATION_ORIGINAL;
	expected.listeners[1].destination = DESTINATION_ORIGINAL;
	config_expect_same(&config, &expected);
	config_free(&config);
	config_free(&defaults);
}

static void test_empty_object_changes_nothing(void **state)
{
	struct config config, defaults;
	char error[256];

	(void)state;
	config_init(&defaults);
	assert_int_equal(config_read_text(&config, "{}", error, sizeof(error)), 0);
	config_expect_same(&config, &defaults);
	config_free(&config);
	config_free(&defaults);
}

static void test_choices(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		int value;
	} cases[] = {
		{"{\"relay\": \"auto\"}", offsetof(struct config, relay), RELAY_AUTO},
		{"{\"relay\": \"splice\"}", offsetof(struct config, relay), RELAY_SPLICE},
		{"{\"relay\": \"copy\"}", offsetof(struct config, relay), RELAY_COPY},
		{"{\"relay\": \"user\"}", offsetof(struct config, relay), RELAY_USER},
		{"{\"ktls\": \"auto\"}", offsetof(struct config, ktls), KTLS_AUTO},
		{"{\"ktls\": \"off\"}", offsetof(struct config, ktls), KTLS_OFF},
		{"{\"ktls\": \"require\"}", offsetof(struct config, ktls), KTLS_REQUIRE},
		{"{\"sampler\": \"auto\"}", offsetof(struct config, sampler), SAMPLER_AUTO},
		{"{\"sampler\": \"bpf\"}", offsetof(struct config, sampler), SAMPLER_BPF},
		{"{\"sampler\": \"user\"}", offsetof(struct config, sampler), SAMPLER_USER},
		{"{\"sampler\": \"off\"}", offsetof(struct config, sampler), SAMPLER_OFF},
		{"{\"sampling\": {\"attach\": \"auto\"}}", offsetof(struct config, sampling.attach),
		 ATTACH_AUTO},
		{"{\"sampling\": {\"attach\": \"fentry\"}}",
		 offsetof(struct config, sampling.attach), ATTACH_FENTRY},
		{"{\"sampling\": {\"attach\": \"sk_msg\"}}",
		 offsetof(struct config, sampling.attach), ATTACH_SK_MSG},
		{"{\"upstream\": {\"verify\": \"mimic\"}}", offsetof(struct config, verify),
		 VERIFY_MIMIC},
		{"{\"upstream\": {\"verify\": \"require\"}}", offsetof(struct config, verify),
		 VERIFY_REQUIRE},
		{"{\"upstream\": {\"verify\": \"off\"}}", offsetof(struct config, verify),
		 VERIFY_OFF},
		{"{\"log_level\": \"error\"}", offsetof(struct config, log_level), LOG_LEVEL_ERROR},
		{"{\"log_level\": \"warn\"}", offsetof(struct config, log_level), LOG_LEVEL_WARN},
		{"{\"log_level\": \"info\"}", offsetof(struct config, log_level), LOG_LEVEL_INFO},
		{"{\"log_level\": \"debug\"}", offsetof(struct config, log_level), LOG_LEVEL_DEBUG},
	};
	struct config config;
	char error[256];
	int value;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(config_read_text(&config, cases[i].text, error, sizeof(error)), 0);
		memcpy(&value, (char *)&config + cases[i].offset, sizeof(value));
		assert_int_equal(value, cases[i].value);
		config_free(&config);
	}
}

static void test_wrong_values(void **state)
{
	(void)state;
	assert_refused("{\n\"relay\": \"fast\"}",
		       "2: \"relay\": is \"fast\", expected auto, splice, copy or user");
	assert_refused("{\"relay\": \"\"}",
		       "1: \"relay\": is \"\", expected auto, splice, copy or user");
	assert_refused("{\"relay\": \"AUTO\"}",
		       "1: \"relay\": is \"AUTO\", expected auto, splice, copy or user");
	assert_refused("{\"ca\": {\n\n\"leaf_key\": \"P-521\"}}",
		       "3: \"ca.leaf_key\": is \"P-521\", expected P-256, P-384, RSA-2048 or "
		       "RSA-3072");
	assert_refused("{\"ca\": {\"cert\": \"\"}}", "1: \"ca.cert\": is empty, expected a value");
	assert_refused("{\"access_log\": \"\"}", "1: \"access_log\": is empty, expected a value");
	assert_refused("{\"ca\": {\"cert\": \"a\\nb\"}}",
		       "1: \"ca.cert\": is \"a\\x0ab\", expected a value without control "
		       "characters");
	assert_refused("{\"relay\": \"\\u001b[2J\"}",
		       "1: \"relay\": is \"\\x1b[2J\", expected auto, splice, copy or user");
}

static void test_wrong_numbers(void **state)
{
	static const char *const numbers[] = {
		"-1",    "1025",   "1.5",        "0.1",
		"1e400", "-1e400", "4294967296", "18446744073709551617",
		"1e-3",
	};
	static const char *const shown[] = {
		"-1",    "1025", "1.5", "0.1", "inf", "-inf", "4294967296", "1.84467440737096e+19",
		"0.001",
	};
	char text[64], expected[128];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(numbers); i++) {
		snprintf(text, sizeof(text), "{\"workers\": %s}", numbers[i]);
		snprintf(expected, sizeof(expected),
			 "1: \"workers\": is %s, expected a whole number from 0 to 1024", shown[i]);
		assert_refused(text, expected);
	}
	assert_refused("{\"ca\": {\"leaf_cache\": 0}}",
		       "1: \"ca.leaf_cache\": is 0, expected a whole number from 1 to 1048576");
	assert_refused("{\"sessions\": {\"client\": {\"rotation_s\": 0}}}",
		       "1: \"sessions.client.rotation_s\": is 0, expected a whole number from 1 to "
		       "604800");
	assert_refused(
		"{\"sessions\": {\"upstream\": {\"lifetime_s\": 604801}}}",
		"1: \"sessions.upstream.lifetime_s\": is 604801, expected a whole number from "
		"1 to 604800");
	assert_refused("{\"limits\":\n{\"deadlines_ms\":\n{\"close\": 3,\n\"idle\": 0}}}",
		       "4: \"limits.deadlines_ms.idle\": is 0, expected a whole number from 1 to "
		       "604800000");
}

static void test_wrong_types(void **state)
{
	(void)state;
	assert_refused("{\"workers\": \"2\"}",
		       "1: \"workers\": is a string, expected a whole number from 0 to 1024");
	assert_refused("{\"workers\": true}",
		       "1: \"workers\": is true, expected a whole number from 0 to 1024");
	assert_refused("{\"workers\": null}",
		       "1: \"workers\": is null, expected a whole number from 0 to 1024");
	assert_refused("{\"workers\": [1]}",
		       "1: \"workers\": is a list, expected a whole number from 0 to 1024");
	assert_refused("{\"relay\": {}}",
		       "1: \"relay\": is an object, expected auto, splice, copy or user");
	assert_refused("{\"relay\": 1}",
		       "1: \"relay\": is a number, expected auto, splice, copy or user");
	assert_refused("{\"control\": false}", "1: \"control\": is false, expected text in quotes");
	assert_refused("{\"access_log\": null}",
		       "1: \"access_log\": is null, expected text in quotes");
	assert_refused("{\"foreground\": 1}",
		       "1: \"foreground\": is a number, expected true or false");
	assert_refused("{\"foreground\": \"yes\"}",
		       "1: \"foreground\": is text, expected true or false");
	assert_refused("{\"ca\": \"/c.pem\"}", "1: \"ca\": is a string, expected an object");
	assert_refused("{\"limits\": {\"deadlines_ms\": 5}}",
		       "1: \"limits.deadlines_ms\": is a number, expected an object");
	assert_refused("{\"listeners\": {}}",
		       "1: \"listeners\": is an object, expected a list of objects");
	assert_refused("{\"listeners\": [\"127.0.0.1:1\"]}",
		       "1: \"listeners[0]\": is a string, expected an object");
	assert_refused("[1]", "1: is a list, expected an object: { ... }");
	assert_refused("\n\n\"x\"", "3: is a string, expected an object: { ... }");
}

static void test_unknown_keys(void **state)
{
	(void)state;
	assert_refused("{\n\n\"relais\": 1}",
		       "3: \"relais\": unknown key, did you mean \"relay\"?");
	assert_refused("{\"listener\": []}",
		       "1: \"listener\": unknown key, did you mean \"listeners\"?");
	assert_refused("{\"limit\": {}}", "1: \"limit\": unknown key, did you mean \"limits\"?");
	assert_refused("{\"ca\": {\"certs\": 1}}",
		       "1: \"ca.certs\": unknown key, did you mean \"ca.cert\"?");
	assert_refused("{\"verify\": \"off\"}",
		       "1: \"verify\": unknown key, did you mean \"upstream.verify\"?");
	assert_refused("{\"idle\": 5}",
		       "1: \"idle\": unknown key, did you mean \"limits.deadlines_ms.idle\"?");
	assert_refused("{\"zebra\": 1}",
		       "1: \"zebra\": unknown key, see ksplit.json(5) for those that there are");
	assert_refused("{\"\": 1}",
		       "1: \"\": unknown key, see ksplit.json(5) for those that there are");
	/* A dot in a name is not a way into a section, and letters have their case. */
	assert_refused("{\"ca.cert\": \"/c\"}",
		       "1: \"ca.cert\": unknown key, see ksplit.json(5) for those that there are");
	assert_refused("{\"Relay\": \"auto\"}",
		       "1: \"Relay\": unknown key, did you mean \"relay\"?");
	assert_refused("{\"x\\n\\u001b\": 1}",
		       "1: \"x\\x0a\\x1b\": unknown key, see ksplit.json(5) "
		       "for those that there are");
}

static void test_duplicate_keys(void **state)
{
	(void)state;
	assert_refused("{\"relay\": \"auto\",\n\"relay\": \"auto\"}", "2: \"relay\": given twice");
	assert_refused("{\"ca\": {\"cert\": \"a\"},\n\"ca\": {}}", "2: \"ca\": given twice");
	assert_refused("{\"ca\": {\"cert\": \"a\",\n\"cert\": \"b\"}}",
		       "2: \"ca.cert\": given twice");
	assert_refused("{\"workers\": 1, \"\\u0077orkers\": 1}", "1: \"workers\": given twice");
	assert_refused("{\"listeners\": [{\"to\": \"original\",\n\"to\": \"original\"}]}",
		       "2: \"listeners[0].to\": given twice");
}

static void test_wrong_observation(void **state)
{
	(void)state;
	assert_refused("{\"sampler\": \"on\"}",
		       "1: \"sampler\": is \"on\", expected auto, bpf, user or off");
	assert_refused("{\"sampler\": false}",
		       "1: \"sampler\": is false, expected auto, bpf, user or off");
	assert_refused("{\"sampling\": {\"attach\": \"kprobe\"}}",
		       "1: \"sampling.attach\": is \"kprobe\", expected auto, fentry or sk_msg");
	assert_refused(
		"{\"sampling\": {\"head_bytes\": 63}}",
		"1: \"sampling.head_bytes\": is 63, expected a whole number from 64 to 4096");
	assert_refused(
		"{\"sampling\": {\"ring_bytes\": 65535}}",
		"1: \"sampling.ring_bytes\": is 65535, expected a whole number from 65536 to "
		"1073741824");
	assert_refused("{\"sampling\": {\"timings\": 1}}",
		       "1: \"sampling.timings\": is a number, expected true or false");
	assert_refused("{\"metrics\": {\"prometheus\": true}}",
		       "1: \"metrics.prometheus\": is true, expected text in quotes");
	assert_refused("{\"metrics\": {\"otlp\": \"http://h\"}}",
		       "1: \"metrics.otlp\": is a string, expected an object");
	assert_refused(
		"{\"metrics\": {\"max_series\": 0}}",
		"1: \"metrics.max_series\": is 0, expected a whole number from 1 to 1000000");
	assert_refused("{\"metrics\": {\"otlp\": {\"queue\": 0}}}",
		       "1: \"metrics.otlp.queue\": is 0, expected a whole number from 1 to 1000");
	assert_refused("{\"access_log_requests\": \"yes\"}",
		       "1: \"access_log_requests\": is text, expected true or false");
}

static void test_listeners(void **state)
{
	char text[4096] = "{\"listeners\": [";
	struct config config;
	char error[256];
	int i;

	(void)state;
	assert_refused("{\"listeners\": [{\"listen\": \"127.0.0.1:1\"}]}",
		       "1: \"listeners[0].to\": missing, expected \"original\", \"tproxy\", "
		       "\"sni:PORT\" or \"HOST:PORT\"");
	assert_refused("{\"listeners\": [{\"listen\": \"127.0.0.1:1\", \"to\": \"original\"},\n"
		       "{\"to\": \"original\"}]}",
		       "2: \"listeners[1].listen\": missing, expected \"ADDR:PORT\"");
	assert_refused("{\"listeners\": [\n{\"listen\": \"localhost:1\", \"to\": \"original\"}]}",
		       "2: \"listeners[0].listen\": is \"localhost:1\", expected ADDR:PORT, "
		       "[ADDR6]:PORT or :PORT with a numeric address");
	assert_refused(
		"{\"listeners\": [{\"listen\": \":1\",\n \"to\": \"sni:0\"}]}",
		"2: \"listeners[0].to\": is \"sni:0\", expected a port from 1 to 65535 after "
		"the colon");
	assert_refused("{\"listeners\": [{\"listen\": 8443}]}",
		       "1: \"listeners[0].listen\": is a number, expected text in quotes");
	assert_refused(
		"{\"listeners\": [{\"address\": \":1\"}]}",
		"1: \"listeners[0].address\": unknown key, see ksplit.json(5) for those that "
		"there are");
	for (i = 0; i <= CONFIG_MAX_LISTENERS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%s{\"listen\": \":%d\", \"to\": \"original\"}", i ? ",\n" : "", i + 1);
	strcat(text, "]}");
	assert_refused(text, "17: \"listeners[16]\": too many, expected at most 16");
	assert_int_equal(config_read_text(&config, "{\"listeners\": []}", error, sizeof(error)), 0);
	assert_int_equal(config.listeners_len, 0);
	config_free(&config);
}

static void test_not_json(void **state)
{
	struct config config;
	char error[256];

	(void)state;
	assert_refused("", "1: empty, expected an object: { ... }");
	assert_refused(" \n// nothing\n", "1: empty, expected an object: { ... }");
	assert_refused("{\n\"relay\": \"auto\"\n",
		       "3: not JSON: the file ends before its last bracket is closed");
	assert_refused("{\n\"relay\": \"auto\",\n}", "3: not JSON at \"}\"");
	assert_refused("{\n  relay: 1}", "2: not JSON at \"relay: 1}\"");
	assert_refused("{\"workers\": 1,\n, \"relay\": 1}", "2: not JSON at \"\"relay\": 1}\"");
	assert_refused("{\"workers\": yes}", "1: not JSON at \"yes}\"");
	assert_refused("{\"workers\" 1}", "1: not JSON at \"1}\"");
	assert_refused("{\"workers\": 1\n\"relay\": 1}", "2: not JSON at \"\"relay\": 1}\"");
	assert_refused("{\"listeners\": [\n]]}", "2: not JSON at \"]}\"");
	assert_refused("{} // comment\n{}", "2: not JSON at \"{}\"");
	assert_refused("{}\nx", "2: not JSON at \"x\"");
	assert_refused("{\n'relay': 1}", "2: not JSON at \"'relay': 1}\"");
	assert_refused("{\"workers\": 08}", "1: not a number as JSON writes it");
	assert_refused("{\"workers\": 2k}", "1: not a number as JSON writes it");
	assert_refused("{\n/* \n\n}", "2: a comment that starts here does not end");
	assert_refused("{\"ca\": {\"cert\": \"\xff\"}}", "1: not valid UTF-8");
	assert_refused("{\"ca\": {\"cert\": \"a\\u0000b\"}}", "1: \\u0000 inside a string");
	assert_refused("{\x01}", "1: control character");
	assert_int_equal(config_read_bytes(&config, "{}\0{}", 5, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "1: control character");
	config_free(&config);
}

/* A deep file neither overruns the stack nor passes. */
static void test_deep_nesting(void **state)
{
	const size_t depth = 200000;
	char *text = malloc(depth + 16), error[256];
	struct config config;

	(void)state;
	strcpy(text, "{\"ca\":");
	memset(text + 6, '[', depth);
	assert_int_equal(config_read_bytes(&config, text, depth + 6, error, sizeof(error)),
			 -EINVAL);
	config_free(&config);
	free(text);
}

static void test_unreadable(void **state)
{
	struct config config;
	char error[256];

	(void)state;
	config_init(&config);
	assert_int_equal(config_read_file(&config, "/nonexistent/x", error, sizeof(error)),
			 -ENOENT);
	assert_string_equal(error, "/nonexistent/x: cannot be read: No such file or directory");
	assert_int_equal(config_read_file(&config, "/tmp", error, sizeof(error)), -EISDIR);
	assert_string_equal(error, "/tmp: cannot be read: Is a directory");
	assert_int_equal(config_read_file(&config, "/dev/zero", error, sizeof(error)), -EFBIG);
	assert_string_equal(error, "/dev/zero: cannot be read: longer than 1 MiB");
	config_free(&config);
}

/* Every text cut anywhere, and every text with one byte changed, is read or refused in one line. */
static void test_broken_anywhere(void **state)
{
	char text[sizeof(everything)], error[1024];
	struct config_file file;
	struct config config;
	size_t i, n;
	FILE *out;

	(void)state;
	config_file_write(&file, "", 0);
	for (i = 0; i < 2 * (sizeof(everything) - 1); i++) {
		n = i < sizeof(everything) - 1 ? i : sizeof(everything) - 1;
		memcpy(text, everything, sizeof(everything) - 1);
		if (i >= sizeof(everything) - 1)
			text[i - (sizeof(everything) - 1)] ^= (char)(1 + i % 127);
		out = fopen(file.path, "w");
		assert_non_null(out);
		fwrite(text, 1, n, out);
		fclose(out);
		config_init(&config);
		error[0] = '\0';
		if (config_read_file(&config, file.path, error, sizeof(error))) {
			assert_memory_equal(error, file.path, strlen(file.path));
			assert_null(strpbrk(error, "\n\r\x1b"));
		}
		config_free(&config);
	}
	config_file_remove(&file);
}

/* The error's buffer is never overrun, and always terminated. */
static void test_short_error_buffer(void **state)
{
	struct config config;
	char error[16];
	size_t len;

	(void)state;
	for (len = 1; len < sizeof(error); len++) {
		memset(error, '#', sizeof(error));
		config_init(&config);
		assert_int_equal(config_read_file(&config, "/nonexistent/x", error, len), -ENOENT);
		assert_true(memchr(error, '\0', len) != NULL);
		assert_int_equal(error[len], '#');
		config_free(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_empty_object_changes_nothing),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_wrong_numbers),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_wrong_observation),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_not_json),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_broken_anywhere),
		cmocka_unit_test(test_short_error_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
