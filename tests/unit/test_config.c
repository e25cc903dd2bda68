// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <ksplit/control.h>

#include "config_file.h"
#include "core/config.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* A group of members that config_check is content with, to be put in front of others. */
#define WHOLE                                                                                      \
	"\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}, "                                            \
	"\"listeners\": [{\"listen\": \"127.0.0.1:8443\", \"to\": \"original\"}]"

/* Read `len` bytes as a file; the error without the file's name in front of it. */
static int read_bytes(struct config *config, const char *text, size_t len, char *error,
		      size_t error_len)
{
	struct config_file file;
	char full[1024] = "";
	size_t skip;
	int rc;

	config_init(config);
	config_file_write(&file, text, len);
	rc = config_read_file(config, file.path, full, sizeof(full));
	config_file_remove(&file);
	skip = strlen(file.path) + 1;
	if (rc) {
		assert_memory_equal(full, file.path, strlen(file.path));
		assert_null(strpbrk(full, "\n\r\x1b"));
	} else {
		assert_string_equal(full, "");
	}
	snprintf(error, error_len, "%s", rc ? full + skip : "");
	return rc;
}

static int read_text(struct config *config, const char *text, char *error, size_t error_len)
{
	return read_bytes(config, text, strlen(text), error, error_len);
}

static void assert_refused(const char *text, const char *expected)
{
	struct config config;
	char error[1024];

	assert_int_equal(read_text(&config, text, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	config_free(&config);
}

static void test_defaults(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config.listeners_len, 0);
	assert_null(config.ca_cert);
	assert_null(config.ca_key);
	assert_string_equal(config.leaf_key_type, "P-256");
	assert_int_equal(config.leaf_cache, 4096);
	assert_null(config.upstream_ca);
	assert_int_equal(config.verify, VERIFY_MIMIC);
	assert_int_equal(config.relay, RELAY_AUTO);
	assert_int_equal(config.ktls, KTLS_AUTO);
	assert_string_equal(config.control, KSPLIT_CONTROL_PATH);
	assert_null(config.access_log);
	assert_int_equal(config.sampler, SAMPLER_AUTO);
	assert_int_equal(config.sampling.attach, ATTACH_AUTO);
	assert_int_equal(config.sampling.head_bytes, 512);
	assert_int_equal(config.sampling.ring_bytes, 2097152);
	assert_int_equal(config.sampling.queue_bytes, 4194304);
	assert_string_equal(config.metrics.prometheus, "");
	assert_string_equal(config.metrics.otlp_endpoint, "");
	assert_int_equal(config.metrics.otlp_interval, 10000);
	assert_int_equal(config.metrics.otlp_timeout, 5000);
	assert_int_equal(config.metrics.otlp_queue, 30);
	assert_int_equal(config.metrics.max_series, 2000);
	assert_int_equal(config.metrics.max_endpoints, 1000);
	assert_true(config.sampling.timings);
	assert_true(config.sampling.processes);
	assert_true(config.access_log_requests);
	assert_int_equal(config.workers, 0);
	assert_int_equal(config.max_connections, 0);
	assert_int_equal(config.deadlines.peek, 10000);
	assert_int_equal(config.deadlines.resolve, 5000);
	assert_int_equal(config.deadlines.connect, 10000);
	assert_int_equal(config.deadlines.upstream_handshake, 10000);
	assert_int_equal(config.deadlines.client_handshake, 10000);
	assert_int_equal(config.deadlines.idle, 600000);
	assert_int_equal(config.deadlines.close, 10000);
	assert_int_equal(config.deadlines.drain, 30000);
	assert_false(config.foreground);
	assert_false(config.check);
	assert_int_equal(config.log_level, LOG_LEVEL_INFO);
	config_free(&config);
	/* Twice does no harm. */
	config_free(&config);
}

static const char everything[] =
	"\xef\xbb\xbf// a comment\n"
	"{ \"ca\": {\"cert\": \"/c.pem\", \"key\": \"/k.pem\", \"leaf_key\": \"RSA-2048\",\n"
	"          \"leaf_cache\": 16},\n"
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
	"  \"limits\": {\"max_connections\": 2147483647, \"deadlines_ms\": {\"peek\": 1,\n"
	"     \"resolve\": 2, \"connect\": 3, \"upstream_handshake\": 4, \"client_handshake\": 5,\n"
	"     \"idle\": 604800000, \"close\": 7, \"drain\": 8e0}},\n"
	"  \"log_level\": \"debug\", \"foreground\": true }\n// end";

static void test_everything(void **state)
{
	struct config config;
	char error[1024];

	(void)state;
	assert_int_equal(read_text(&config, everything, error, sizeof(error)), 0);
	assert_string_equal(config.ca_cert, "/c.pem");
	assert_string_equal(config.ca_key, "/k.pem");
	assert_string_equal(config.leaf_key_type, "RSA-2048");
	assert_int_equal(config.leaf_cache, 16);
	assert_int_equal(config.listeners_len, 2);
	assert_int_equal(config.listeners[0].destination, DESTINATION_TPROXY);
	assert_int_equal(config.listeners[1].destination, DESTINATION_STATIC);
	assert_string_equal(config.listeners[1].host, "example.com");
	assert_int_equal(config.listeners[1].port, 443);
	assert_string_equal(config.upstream_ca, "/u.pem");
	assert_int_equal(config.verify, VERIFY_REQUIRE);
	assert_int_equal(config.relay, RELAY_COPY);
	assert_int_equal(config.ktls, KTLS_REQUIRE);
	assert_string_equal(config.access_log, "/log");
	assert_int_equal(config.sampler, SAMPLER_BPF);
	assert_int_equal(config.sampling.attach, ATTACH_SK_MSG);
	assert_int_equal(config.sampling.head_bytes, 4096);
	assert_int_equal(config.sampling.ring_bytes, 65536);
	assert_int_equal(config.sampling.queue_bytes, 1073741824);
	assert_string_equal(config.metrics.prometheus, ":9464");
	assert_string_equal(config.metrics.otlp_endpoint, "http://h:4318/v1/metrics");
	assert_int_equal(config.metrics.otlp_interval, 100);
	assert_int_equal(config.metrics.otlp_timeout, 101);
	assert_int_equal(config.metrics.otlp_queue, 1000);
	assert_int_equal(config.metrics.max_series, 1);
	assert_int_equal(config.metrics.max_endpoints, 1000000);
	assert_false(config.sampling.timings);
	assert_false(config.sampling.processes);
	assert_false(config.access_log_requests);
	assert_string_equal(config.control, "");
	assert_int_equal(config.workers, 1024);
	assert_int_equal(config.max_connections, 2147483647);
	assert_int_equal(config.deadlines.peek, 1);
	assert_int_equal(config.deadlines.resolve, 2);
	assert_int_equal(config.deadlines.connect, 3);
	assert_int_equal(config.deadlines.upstream_handshake, 4);
	assert_int_equal(config.deadlines.client_handshake, 5);
	assert_int_equal(config.deadlines.idle, 604800000);
	assert_int_equal(config.deadlines.close, 7);
	assert_int_equal(config.deadlines.drain, 8);
	assert_true(config.foreground);
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config_check(&config, error, sizeof(error)), 0);
	config_free(&config);
}

/* The example that is installed says what holds without it, so that a reader may start from it. */
static void test_example(void **state)
{
	struct config config, defaults;
	char error[1024] = "";

	(void)state;
	config_init(&config);
	config_init(&defaults);
	if (config_read_file(&config, "docs/ksplit.json.example", error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(config_check(&config, error, sizeof(error)), 0);
	assert_string_equal(config.leaf_key_type, defaults.leaf_key_type);
	assert_int_equal(config.leaf_cache, defaults.leaf_cache);
	assert_int_equal(config.verify, defaults.verify);
	assert_int_equal(config.relay, defaults.relay);
	assert_int_equal(config.ktls, defaults.ktls);
	assert_int_equal(config.sampler, defaults.sampler);
	assert_int_equal(config.sampling.attach, defaults.sampling.attach);
	assert_int_equal(config.sampling.head_bytes, defaults.sampling.head_bytes);
	assert_int_equal(config.sampling.ring_bytes, defaults.sampling.ring_bytes);
	assert_int_equal(config.sampling.queue_bytes, defaults.sampling.queue_bytes);
	assert_string_equal(config.metrics.prometheus, defaults.metrics.prometheus);
	assert_string_equal(config.metrics.otlp_endpoint, defaults.metrics.otlp_endpoint);
	assert_int_equal(config.metrics.otlp_interval, defaults.metrics.otlp_interval);
	assert_int_equal(config.metrics.otlp_timeout, defaults.metrics.otlp_timeout);
	assert_int_equal(config.metrics.otlp_queue, defaults.metrics.otlp_queue);
	assert_int_equal(config.metrics.max_series, defaults.metrics.max_series);
	assert_int_equal(config.metrics.max_endpoints, defaults.metrics.max_endpoints);
	assert_int_equal(config.sampling.timings, defaults.sampling.timings);
	assert_int_equal(config.sampling.processes, defaults.sampling.processes);
	assert_int_equal(config.access_log_requests, defaults.access_log_requests);
	assert_string_equal(config.control, defaults.control);
	assert_int_equal(config.workers, defaults.workers);
	assert_int_equal(config.max_connections, defaults.max_connections);
	assert_memory_equal(&config.deadlines, &defaults.deadlines, sizeof(config.deadlines));
	assert_int_equal(config.log_level, defaults.log_level);
	assert_false(config.foreground);
	config_free(&config);
	config_free(&defaults);
}

static void test_empty_object_changes_nothing(void **state)
{
	struct config config;
	char error[256];

	(void)state;
	assert_int_equal(read_text(&config, "{}", error, sizeof(error)), 0);
	assert_int_equal(config.leaf_cache, 4096);
	assert_int_equal(config.listeners_len, 0);
	config_free(&config);
}

/* Every choice is read as what it says. */
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
		assert_int_equal(read_text(&config, cases[i].text, error, sizeof(error)), 0);
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

static void test_later_sections(void **state)
{
	static const char *const names[] = {"capture", "pass", "identities", "user"};
	char text[64], expected[128];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(names); i++) {
		snprintf(text, sizeof(text), "{\n\n\"%s\": {}}", names[i]);
		snprintf(expected, sizeof(expected),
			 "3: \"%s\": not supported yet by this version; remove it", names[i]);
		assert_refused(text, expected);
	}
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
	assert_refused("{\"listeners\": [{\"address\": \":1\"}]}",
		       "1: \"listeners[0].address\": unknown key, a listener has \"listen\" and "
		       "\"to\"");
	for (i = 0; i <= CONFIG_MAX_LISTENERS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%s{\"listen\": \":%d\", \"to\": \"original\"}", i ? ",\n" : "", i + 1);
	strcat(text, "]}");
	assert_refused(text, "17: \"listeners[16]\": too many, expected at most 16");
	assert_int_equal(read_text(&config, "{\"listeners\": []}", error, sizeof(error)), 0);
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
	assert_int_equal(read_bytes(&config, "{}\0{}", 5, error, sizeof(error)), -EINVAL);
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
	assert_int_equal(read_bytes(&config, text, depth + 6, error, sizeof(error)), -EINVAL);
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

static void test_parse_listen_accepts(void **state)
{
	static const struct {
		const char *text;
		int family;
		const char *address;
		uint16_t port;
	} cases[] = {
		{"127.0.0.1:8443", AF_INET, "127.0.0.1", 8443},
		{"0.0.0.0:65535", AF_INET, "0.0.0.0", 65535},
		{":443", AF_INET, "0.0.0.0", 443},
		{":0", AF_INET, "0.0.0.0", 0},
		{"127.0.0.1:0", AF_INET, "127.0.0.1", 0},
		{"127.0.0.1:00443", AF_INET, "127.0.0.1", 443},
		{"[::1]:443", AF_INET6, "::1", 443},
		{"[::]:1", AF_INET6, "::", 1},
		{"[2001:db8::7]:443", AF_INET6, "2001:db8::7", 443},
		{"[fe80::1%lo]:443", AF_INET6, "fe80::1", 443},
		{"[fe80::1%1]:443", AF_INET6, "fe80::1", 443},
	};
	struct config_listener listener;
	char address[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		memset(&listener, 0, sizeof(listener));
		assert_int_equal(config_parse_listen(cases[i].text, &listener), 0);
		assert_int_equal(listener.address.sa.sa_family, cases[i].family);
		if (cases[i].family == AF_INET)
			inet_ntop(AF_INET, &listener.address.in.sin_addr, address, sizeof(address));
		else
			inet_ntop(AF_INET6, &listener.address.in6.sin6_addr, address,
				  sizeof(address));
		assert_string_equal(address, cases[i].address);
		/* The port is at the same place in both. */
		assert_int_equal(ntohs(listener.address.in.sin_port), cases[i].port);
		if (strchr(cases[i].text, '%'))
			assert_int_equal(listener.address.in6.sin6_scope_id, 1);
	}
}

static void test_parse_listen_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		":",
		"443",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:x",
		"127.0.0.1:443x",
		"127.0.0.1: 443",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1:65536",
		"127.0.0.1:999999",
		"127.0.0.1:0x1bb",
		"127.0.0.1:443:1",
		" 127.0.0.1:443",
		"127.1:443",
		"0x7f.0.0.1:443",
		"127.0.0.01x:443",
		"256.0.0.1:443",
		"localhost:443",
		"example.com:443",
		"*:443",
		"::1:443",
		"[::1]",
		"[::1]443",
		"[::1:443",
		"[]:443",
		"[127.0.0.1]:443",
		"[::ffff:127.0.0.1]:443",
		"[::1%lo]:443",
		"[fe80::1]:443",
		"[fe80::1%]:443",
		"[fe80::1%no-such-interface]:443",
		"[fe80::1%0]:443",
		"[fe80::1%-1]:443",
		"[fe80::1%99999999999999999999]:443",
		"[ff02::1%lo]:443",
		"224.0.0.1:443",
		"255.255.255.255:443",
	};
	struct config_listener listener, before;
	char text[1024];
	size_t i;

	(void)state;
	memset(&listener, 0x55, sizeof(listener));
	before = listener;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(config_parse_listen(cases[i], &listener), -EINVAL);
		assert_memory_equal(&listener, &before, sizeof(listener));
	}
	memset(text, '1', sizeof(text));
	strcpy(text + sizeof(text) - 5, ":443");
	assert_int_equal(config_parse_listen(text, &listener), -EINVAL);
}

static void test_parse_destination_accepts(void **state)
{
	static const struct {
		const char *text;
		enum destination_kind kind;
		const char *host;
		uint16_t port;
	} cases[] = {
		{"original", DESTINATION_ORIGINAL, "", 0},
		{"tproxy", DESTINATION_TPROXY, "", 0},
		{"sni:443", DESTINATION_SNI, "", 443},
		{"example.com:443", DESTINATION_STATIC, "example.com", 443},
		{"Example.COM.:1", DESTINATION_STATIC, "Example.COM.", 1},
		{"localhost:65535", DESTINATION_STATIC, "localhost", 65535},
		{"xn--mnchen-3ya.example:443", DESTINATION_STATIC, "xn--mnchen-3ya.example", 443},
		{"my_service.internal:8443", DESTINATION_STATIC, "my_service.internal", 8443},
		{"3com.example:443", DESTINATION_STATIC, "3com.example", 443},
		{"original:443", DESTINATION_STATIC, "original", 443},
		{"192.0.2.1:443", DESTINATION_STATIC, "192.0.2.1", 443},
		{"[2001:db8::1]:443", DESTINATION_STATIC, "2001:db8::1", 443},
		{"[fe80::1%lo]:443", DESTINATION_STATIC, "fe80::1%lo", 443},
	};
	struct config_listener listener;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		memset(&listener, 0x55, sizeof(listener));
		assert_int_equal(config_parse_destination(cases[i].text, &listener), 0);
		assert_int_equal(listener.destination, cases[i].kind);
		assert_string_equal(listener.host, cases[i].host);
		assert_int_equal(listener.port, cases[i].port);
	}
}

static void test_parse_destination_refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"Original",
		"origin",
		"sni",
		"sni:",
		"sni:0",
		"sni:https",
		"sni:443 ",
		"example.com",
		"example.com:",
		"example.com:0",
		"example.com:65536",
		"example.com:443/",
		":443",
		"[]:443",
		"-bad.example:443",
		"bad-.example:443",
		"bad..example:443",
		".example:443",
		".:443",
		"bad host:443",
		"b\303\274cher.example:443",
		"https://example.com:443",
		"user@example.com:443",
		"1.2.3:443",
		"1.2.3.4.5:443",
		"256.1.1.1:443",
		"443:443",
		"0.0.0.0:443",
		"[::]:443",
		"224.0.0.1:443",
		"2001:db8::1:443",
		"[example.com]:443",
		"[::ffff:192.0.2.1]:443",
		"0123456789012345678901234567890123456789012345678901234567890123.example:443",
	};
	struct config_listener listener, before;
	char text[400];
	size_t i;

	(void)state;
	memset(&listener, 0x55, sizeof(listener));
	before = listener;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(config_parse_destination(cases[i], &listener), -EINVAL);
		assert_memory_equal(&listener, &before, sizeof(listener));
	}
	/* 253 letters and dots are the longest name (RFC 1035). */
	for (i = 0; i < 253; i++)
		text[i] = i % 2 ? '.' : 'a';
	strcpy(text + 253, ":443");
	assert_int_equal(config_parse_destination(text, &listener), 0);
	assert_int_equal(strlen(listener.host), 253);
	memset(text + 253, 'a', 2);
	strcpy(text + 255, ":443");
	assert_int_equal(config_parse_destination(text, &listener), -EINVAL);
}

/* config_check of a file's members. */
static void assert_check(const char *members, const char *expected)
{
	char text[2048], error[1024] = "";
	struct config config;
	int rc;

	snprintf(text, sizeof(text), "{%s}", members);
	assert_int_equal(read_text(&config, text, error, sizeof(error)), 0);
	rc = config_check(&config, error, sizeof(error));
	assert_string_equal(error, expected);
	assert_int_equal(rc, *expected ? -EINVAL : 0);
	config_free(&config);
}

static void test_check_whole(void **state)
{
	(void)state;
	assert_check(WHOLE, "");
	assert_check("\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}",
		     "\"listeners\": missing, expected at least one in the file, or --listen "
		     "ADDR:PORT --to DESTINATION");
	assert_check("\"listeners\": [{\"listen\": \":1\", \"to\": \"original\"}]",
		     "\"ca.cert\": missing, expected a PEM file there or in --ca-cert");
	assert_check("\"ca\": {\"cert\": \"/c\"}, \"listeners\": [{\"listen\": \":1\", "
		     "\"to\": \"original\"}]",
		     "\"ca.key\": missing, expected a PEM file there or in --ca-key");
}

static void test_check_relay(void **state)
{
	(void)state;
	assert_check(WHOLE ", \"relay\": \"user\", \"ktls\": \"off\"", "");
	assert_check(WHOLE ", \"relay\": \"auto\", \"ktls\": \"off\"", "");
	assert_check(WHOLE ", \"relay\": \"splice\", \"ktls\": \"require\"", "");
	assert_check(WHOLE ", \"relay\": \"splice\", \"ktls\": \"off\"",
		     "\"relay\": is splice, which works on kernel TLS, and \"ktls\" is off; "
		     "expected relay auto or user, or ktls auto or require");
	assert_check(WHOLE ", \"relay\": \"copy\", \"ktls\": \"off\"",
		     "\"relay\": is copy, which works on kernel TLS, and \"ktls\" is off; "
		     "expected relay auto or user, or ktls auto or require");
	assert_check(WHOLE ", \"relay\": \"user\", \"ktls\": \"require\"",
		     "\"relay\": is user, which works without kernel TLS, and \"ktls\" is "
		     "require; expected relay auto, splice or copy, or ktls auto or off");
}

#define CA "\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}, \"listeners\": "

static void test_check_listeners(void **state)
{
	(void)state;
	assert_check(CA "[{\"listen\": \"127.0.0.1:1\", \"to\": \"original\"}, "
			"{\"listen\": \"127.0.0.1:1\", \"to\": \"tproxy\"}]",
		     "listener 127.0.0.1:1: given twice, expected different addresses");
	assert_check(CA "[{\"listen\": \"[::1]:1\", \"to\": \"original\"}, "
			"{\"listen\": \"[0::1]:1\", \"to\": \"tproxy\"}]",
		     "listener [::1]:1: given twice, expected different addresses");
	/* Port 0 is a new port each time; the same port on other addresses is another place. */
	assert_check(CA "[{\"listen\": \":0\", \"to\": \"original\"}, "
			"{\"listen\": \":0\", \"to\": \"original\"}]",
		     "");
	assert_check(CA "[{\"listen\": \"0.0.0.0:1\", \"to\": \"original\"}, "
			"{\"listen\": \"127.0.0.1:1\", \"to\": \"original\"}, "
			"{\"listen\": \"[::]:1\", \"to\": \"original\"}]",
		     "");
	assert_check(CA "[{\"listen\": \"127.0.0.1:1\", \"to\": \"127.0.0.1:1\"}]",
		     "listener 127.0.0.1:1: its destination 127.0.0.1:1 is a listener itself");
	assert_check(CA "[{\"listen\": \"127.0.0.1:1\", \"to\": \"[::1]:2\"}, "
			"{\"listen\": \"[::1]:2\", \"to\": \"original\"}]",
		     "listener 127.0.0.1:1: its destination ::1:2 is a listener itself");
	assert_check(CA "[{\"listen\": \"127.0.0.1:1\", \"to\": \"127.0.0.1:2\"}]", "");
}

static void test_check_paths(void **state)
{
	char members[1024], path[200];

	(void)state;
	assert_check(WHOLE ", \"control\": \"\"", "");
	assert_check(WHOLE ", \"control\": \"x.sock\", \"foreground\": true", "");
	assert_check(WHOLE ", \"control\": \"x.sock\"",
		     "\"control\": is \"x.sock\", expected an absolute path, or --foreground");
	assert_check(WHOLE ", \"access_log\": \"log\"",
		     "\"access_log\": is \"log\", expected an absolute path, or --foreground");
	assert_check(WHOLE ", \"access_log\": \"-\"",
		     "\"access_log\": is \"-\", expected an absolute path, or --foreground");
	assert_check(WHOLE ", \"access_log\": \"-\", \"foreground\": true", "");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[107] = '\0';
	snprintf(members, sizeof(members), WHOLE ", \"control\": \"%s\"", path);
	assert_check(members, "");
	path[107] = 'x';
	path[108] = '\0';
	snprintf(members, sizeof(members), WHOLE ", \"control\": \"%s\"", path);
	assert_check(members, "\"control\": is 108 bytes long, expected at most 107 (unix(7))");
}

#define METRICS(members) WHOLE ", \"metrics\": {" members "}"
#define PROMETHEUS(text) METRICS("\"prometheus\": \"" text "\"")
#define OTLP(text)       METRICS("\"otlp\": {\"endpoint\": \"" text "\"}")

static void test_check_metrics(void **state)
{
	(void)state;
	assert_check(PROMETHEUS(""), "");
	assert_check(PROMETHEUS(":9464"), "");
	assert_check(PROMETHEUS("127.0.0.1:0"), "");
	assert_check(PROMETHEUS("[::1]:9464"), "");
	assert_check(PROMETHEUS("9464"),
		     "\"metrics.prometheus\": is \"9464\", expected ADDR:PORT, [ADDR6]:PORT or "
		     ":PORT with a numeric address");
	assert_check(PROMETHEUS("localhost:9464"),
		     "\"metrics.prometheus\": is \"localhost:9464\", expected ADDR:PORT, "
		     "[ADDR6]:PORT or :PORT with a numeric address");
	assert_check(OTLP(""), "");
	assert_check(OTLP("http://127.0.0.1:4318/v1/metrics"), "");
	assert_check(OTLP("https://collector.example/v1/metrics"), "");
#define EXPECT_URL "expected http://HOST:PORT/PATH or https://HOST:PORT/PATH"
	assert_check(OTLP("127.0.0.1:4318"),
		     "\"metrics.otlp.endpoint\": is \"127.0.0.1:4318\", " EXPECT_URL);
	assert_check(OTLP("ftp://h/"), "\"metrics.otlp.endpoint\": is \"ftp://h/\", " EXPECT_URL);
	assert_check(OTLP("http://"), "\"metrics.otlp.endpoint\": is \"http://\", " EXPECT_URL);
	assert_check(OTLP("http:///v1"),
		     "\"metrics.otlp.endpoint\": is \"http:///v1\", " EXPECT_URL);
	assert_check(OTLP("http://h/ x"),
		     "\"metrics.otlp.endpoint\": is \"http://h/ x\", " EXPECT_URL);
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
		cmocka_unit_test(test_later_sections),
		cmocka_unit_test(test_wrong_observation),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_not_json),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_broken_anywhere),
		cmocka_unit_test(test_parse_listen_accepts),
		cmocka_unit_test(test_parse_listen_refuses),
		cmocka_unit_test(test_parse_destination_accepts),
		cmocka_unit_test(test_parse_destination_refuses),
		cmocka_unit_test(test_check_whole),
		cmocka_unit_test(test_check_relay),
		cmocka_unit_test(test_check_listeners),
		cmocka_unit_test(test_check_paths),
		cmocka_unit_test(test_check_metrics),
		cmocka_unit_test(test_short_error_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
