// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_read.h"

/* config_check of a file's members. */
static void assert_check(const char *members, const char *expected)
{
	char text[2048], error[1024] = "";
	struct config config;
	int rc;

	snprintf(text, sizeof(text), "{%s}", members);
	assert_int_equal(config_read_text(&config, text, error, sizeof(error)), 0);
	rc = config_check(&config, error, sizeof(error));
	assert_string_equal(error, expected);
	assert_int_equal(rc, *expected ? -EINVAL : 0);
	config_free(&config);
}

static void test_check_whole(void **state)
{
	(void)state;
	assert_check(CONFIG_WHOLE, "");
	assert_check("\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}",
		     "\"listeners\": missing, expected at least one in the file, or --listen "
		     "ADDR:PORT --to DESTINATION");
	assert_check("\"listeners\": [{\"listen\": \":1\", \"to\": \"original\"}]",
		     "\"ca.cert\": missing, expected a PEM file there or in --ca-cert");
	assert_check("\"ca\": {\"cert\": \"/c\"}, \"listeners\": [{\"listen\": \":1\", "
		     "\"to\": \"original\"}]",
		     "\"ca.key\": missing, expected a PEM file there or in --ca-key");
}

#define INCOMING                                                                                   \
	"{\"listen\": \":1\", \"to\": \"h:2\", \"direction\": \"incoming\"}"
#define IDENTITIES ", \"identities\": [{\"cert\": \"/i\", \"key\": \"/i\"}]"

/* No leaf is forged for incoming calls. */
static void test_check_without_ca(void **state)
{
	(void)state;
	assert_check("\"listeners\": [" INCOMING "]" IDENTITIES, "");
	assert_check("\"ca\": {\"sign_rate\": 7}, \"listeners\": [" INCOMING "]" IDENTITIES, "");
	assert_check("\"listeners\": [" INCOMING
		     ", {\"listen\": \":3\", \"to\": \"original\"}]" IDENTITIES,
		     "\"ca.cert\": missing, expected a PEM file there or in --ca-cert");
	assert_check("\"ca\": {\"cert\": \"/c\"}, \"listeners\": [" INCOMING "]" IDENTITIES,
		     "\"ca.key\": missing, expected a PEM file there or in --ca-key");
	assert_check("\"ca\": {\"key\": \"/c\"}, \"listeners\": [" INCOMING "]" IDENTITIES,
		     "\"ca.cert\": missing, expected a PEM file there or in --ca-cert");
}

static void test_check_relay(void **state)
{
	(void)state;
	assert_check(CONFIG_WHOLE ", \"relay\": \"user\", \"ktls\": \"off\"", "");
	assert_check(CONFIG_WHOLE ", \"relay\": \"auto\", \"ktls\": \"off\"", "");
	assert_check(CONFIG_WHOLE ", \"relay\": \"splice\", \"ktls\": \"require\"", "");
	assert_check(CONFIG_WHOLE ", \"relay\": \"splice\", \"ktls\": \"off\"",
		     "\"relay\": is splice, which works on kernel TLS, and \"ktls\" is off; "
		     "expected relay auto or user, or ktls auto or require");
	assert_check(CONFIG_WHOLE ", \"relay\": \"copy\", \"ktls\": \"off\"",
		     "\"relay\": is copy, which works on kernel TLS, and \"ktls\" is off; "
		     "expected relay auto or user, or ktls auto or require");
	assert_check(CONFIG_WHOLE ", \"relay\": \"user\", \"ktls\": \"require\"",
		     "\"relay\": is user, which works without kernel TLS, and \"ktls\" is "
		     "require; expected relay auto, splice or copy, or ktls auto or off");
}

static void test_check_pass(void **state)
{
	(void)state;
	assert_check(CONFIG_WHOLE ", \"pass\": [{\"process\": \"java\"}]", "");
	assert_check(CONFIG_WHOLE ", \"pass\": [{\"sni\": \"*\"}], \"user\": \"ksplit\"", "");
	assert_check(CONFIG_WHOLE ", \"pass\": [{\"sni\": \"*\"}, {\"process\": \"java\"}], "
				  "\"user\": \"ksplit\"",
		     "\"pass\": a rule has \"process\", which takes the sight of other users' "
		     "processes that ksplitd gives up with \"user\"; leave one of them out");
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
	assert_check(CONFIG_WHOLE ", \"control\": \"\"", "");
	assert_check(CONFIG_WHOLE ", \"control\": \"x.sock\", \"foreground\": true", "");
	assert_check(CONFIG_WHOLE ", \"control\": \"x.sock\"",
		     "\"control\": is \"x.sock\", expected an absolute path, or --foreground");
	assert_check(CONFIG_WHOLE ", \"access_log\": \"log\"",
		     "\"access_log\": is \"log\", expected an absolute path, or --foreground");
	assert_check(CONFIG_WHOLE ", \"access_log\": \"-\"",
		     "\"access_log\": is \"-\", expected an absolute path, or --foreground");
	assert_check(CONFIG_WHOLE ", \"access_log\": \"-\", \"foreground\": true", "");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[107] = '\0';
	snprintf(members, sizeof(members), CONFIG_WHOLE ", \"control\": \"%s\"", path);
	assert_check(members, "");
	path[107] = 'x';
	path[108] = '\0';
	snprintf(members, sizeof(members), CONFIG_WHOLE ", \"control\": \"%s\"", path);
	assert_check(members, "\"control\": is 108 bytes long, expected at most 107 (unix(7))");
}

#define METRICS(members) CONFIG_WHOLE ", \"metrics\": {" members "}"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_whole),
		cmocka_unit_test(test_check_without_ca),     cmocka_unit_test(test_check_pass),
		cmocka_unit_test(test_check_relay),
		cmocka_unit_test(test_check_listeners), cmocka_unit_test(test_check_paths),
		cmocka_unit_test(test_check_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
