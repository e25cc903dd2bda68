// SPDX-License-Identifier: GPL-2.0-or-later
/* "identities" and what listeners for incoming calls have in the configuration file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config_read.h"

static void refused(const char *text, const char *expected)
{
	struct config config;
	char error[512];

	assert_true(config_read_text(&config, text, error, sizeof(error)) < 0);
	assert_string_equal(error, expected);
	config_free(&config);
}

static void accepted(struct config *config, const char *text)
{
	char error[512];
	int rc = config_read_text(config, text, error, sizeof(error));

	if (rc)
		fail_msg("%s", error);
}

#define LISTEN "{\"listeners\": [{\"listen\": \":1\", \"to\": \"127.0.0.1:2\", "

static void test_identities(void **state)
{
	struct config config;

	(void)state;
	accepted(&config,
		 "{\"identities\": [{\"cert\": \"/a.pem\", \"key\": \"/a.key\", \"names\": "
		 "[\"Shop.Example\", \"*.shop.example\"], \"ocsp\": \"/a.der\"},\n"
		 "{\"cert\": \"/b.pem\", \"key\": \"/b.pem\", \"default\": true}]}");
	assert_int_equal(config.identities_len, 2);
	assert_string_equal(config.identities[0].cert, "/a.pem");
	assert_string_equal(config.identities[0].key, "/a.key");
	assert_string_equal(config.identities[0].ocsp, "/a.der");
	assert_int_equal(config.identities[0].names_len, 2);
	assert_string_equal(config.identities[0].names[0], "shop.example");
	assert_string_equal(config.identities[0].names[1], "*.shop.example");
	assert_false(config.identities[0].is_default);
	assert_true(config.identities[1].is_default);
	assert_null(config.identities[1].ocsp);
	config_free(&config);
}

static void test_wrong_identities(void **state)
{
	(void)state;
	refused("{\"identities\": {}}", "1: \"identities\": is an object, expected a list");
	refused("{\"identities\": [\n{\"key\": \"/k\"}]}",
		"2: \"identities[0].cert\": missing, expected a PEM file");
	refused("{\"identities\": [{\"cert\": \"/c\"}]}",
		"1: \"identities[0].key\": missing, expected a PEM file");
	refused("{\"identities\": [{\"cert\": \"\"}]}",
		"1: \"identities[0].cert\": is empty, expected text");
	refused("{\"identities\": [{\"name\": []}]}",
		"1: \"identities[0].name\": unknown key, did you mean \"identities[0].names\"?");
	refused("{\"identities\": [{\"default\": 1}]}",
		"1: \"identities[0].default\": is a number, expected true or false");
	for (size_t i = 0; i < 7; i++) {
		static const char *const wrong[] = {"a b",    "*",  "*.",   "w*.example",
						    ".a.example", "a..b", "a.example."};
		char text[128], expected[256];

		snprintf(text, sizeof(text),
			 "{\"identities\": [{\"names\": [\"a.example\",\n\"%s\"]}]}", wrong[i]);
		snprintf(expected, sizeof(expected),
			 "2: \"identities[0].names[1]\": is \"%s\", expected a host name or a "
			 "wildcard for its first label, \"*.example.com\"",
			 wrong[i]);
		refused(text, expected);
	}
}

static void test_incoming_listener(void **state)
{
	static const uint8_t two[] = "\x02h2\x08http/1.1";
	struct config config;
	const struct config_listener *listener = &config.listeners[0];

	(void)state;
	accepted(&config, LISTEN "\"direction\": \"incoming\"}]}");
	assert_true(listener->incoming);
	assert_false(listener->plain_upstream);
	assert_int_equal(listener->client_address, CLIENT_ADDRESS_NONE);
	assert_int_equal(listener->alpn_len, 0);
	config_free(&config);
	accepted(&config, LISTEN "\"upstream_tls\": false, \"client_address\": \"proxy_v2\", "
				 "\"direction\": \"incoming\"}]}");
	assert_true(listener->plain_upstream);
	assert_int_equal(listener->client_address, CLIENT_ADDRESS_PROXY_V2);
	assert_int_equal(listener->alpn_len, 9);
	assert_memory_equal(listener->alpn, two + 3, 9);
	config_free(&config);
	accepted(&config, LISTEN "\"direction\": \"incoming\", \"upstream_tls\": false, \"alpn\": "
				 "[\"h2\", \"http/1.1\"], \"client_address\": \"transparent\"}]}");
	assert_int_equal(listener->client_address, CLIENT_ADDRESS_TRANSPARENT);
	assert_int_equal(listener->alpn_len, sizeof(two) - 1);
	assert_memory_equal(listener->alpn, two, sizeof(two) - 1);
	config_free(&config);
	accepted(&config, LISTEN "\"direction\": \"incoming\", \"upstream_tls\": false, "
				 "\"alpn\": []}]}");
	assert_int_equal(listener->alpn_len, 0);
	config_free(&config);
	accepted(&config, LISTEN "\"direction\": \"outgoing\"}]}");
	assert_false(listener->incoming);
	assert_false(listener->starttls_off);
	config_free(&config);
	accepted(&config, LISTEN "\"direction\": \"incoming\", \"upstream_tls\": false, "
				 "\"starttls\": \"off\"}]}");
	config_free(&config);
	accepted(&config, LISTEN "\"starttls\": \"off\"}]}");
	assert_true(listener->starttls_off);
	config_free(&config);
	accepted(&config, LISTEN "\"starttls\": \"auto\"}]}");
	assert_false(listener->starttls_off);
	config_free(&config);
}

static void test_wrong_incoming_listener(void **state)
{
	char error[512];
	struct config config;

	(void)state;
	refused(LISTEN "\"direction\": \"in\"}]}",
		"1: \"listeners[0].direction\": is \"in\", expected outgoing or incoming");
	refused(LISTEN "\"starttls\": \"on\"}]}",
		"1: \"listeners[0].starttls\": is \"on\", expected auto or off");
	refused(LISTEN "\"client_address\": \"proxy\"}]}",
		"1: \"listeners[0].client_address\": is \"proxy\", expected none, proxy_v2 or "
		"transparent");
	refused(LISTEN "\"upstream_tls\": false}]}",
		"1: \"listeners[0].upstream_tls\": is for incoming calls; expected \"direction\": "
		"\"incoming\" beside it");
	refused(LISTEN "\"direction\": \"incoming\", \"starttls\": \"auto\", \"upstream_tls\": "
		       "false}]}",
		"1: \"listeners[0].starttls\": is agreed on with a service that speaks TLS; expected "
		"\"off\" beside \"upstream_tls\": false");
	refused(LISTEN "\"direction\": \"incoming\", \"alpn\": [\"h2\"]}]}",
		"1: \"listeners[0].alpn\": is for a service in plain TCP; one that speaks TLS "
		"chooses by itself");
	refused("{\"listeners\": [{\"listen\": \":1\", \"to\": \"sni:443\", \"direction\": "
		"\"incoming\"}]}",
		"1: \"listeners[0].to\": is the SNI, by which any client could reach any host; "
		"expected \"original\", \"tproxy\" or \"HOST:PORT\" for incoming calls");
	refused(LISTEN "\"direction\": \"incoming\", \"upstream_tls\": false, \"alpn\": "
		       "[\"0123456789012345678901234567890123456789012345678901234567890123\"]}]}",
		"1: \"listeners[0].alpn[0]\": too long, expected names of 64 bytes together");
	/* As a whole: what is shown to clients has to be there. */
	accepted(&config, "{\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}, \"listeners\": [{"
			  "\"listen\": \"127.0.0.1:1\", \"to\": \"127.0.0.1:2\", \"direction\": "
			  "\"incoming\"}]}");
	assert_int_equal(config_check(&config, error, sizeof(error)), -22);
	assert_string_equal(error, "listener 127.0.0.1:1: is for incoming calls, expected "
				   "\"identities\" to show to its clients");
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_wrong_identities),
		cmocka_unit_test(test_incoming_listener),
		cmocka_unit_test(test_wrong_incoming_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
