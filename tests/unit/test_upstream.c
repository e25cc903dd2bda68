// SPDX-License-Identifier: GPL-2.0-or-later
/* Section "upstream": its rules as they are read, and which one an origin gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "config_read.h"

static union conn_address ipv4(const char *ip, uint16_t port)
{
	union conn_address address = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET, ip, &address.in.sin_addr), 1);
	return address;
}

static void read_good(struct config *config, const char *text)
{
	char error[512];

	if (config_read_text(config, text, error, sizeof(error)))
		fail_msg("%s", error);
}

static void assert_refused(const char *text, const char *expected)
{
	struct config config;
	char error[512];

	assert_int_equal(config_read_text(&config, text, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	config_free(&config);
}

static size_t profile_for(const struct config *config, const char *sni, const char *ip,
			  uint16_t port)
{
	const union conn_address address = ipv4(ip, port);
	const struct policy_call call = {.sni = sni, .addresses = &address, .addresses_len = 1};

	return upstream_choose(&config->upstream, &call);
}

static void test_first_rule_that_matches(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "{\"upstream\": {\"rules\": ["
			   "{\"sni\": \"*.test\", \"ports\": 8443, \"verify\": \"off\"},"
			   "{\"networks\": [\"192.0.2.0/24\", \"10.0.0.0/8\"]},"
			   "{\"sni\": [\"a.test\", \"b.test\"]},"
			   "{\"ports\": [\"9000-9010\", 25]}]}}");
	assert_int_equal(upstream_profiles(&config), 5);
	assert_int_equal(profile_for(&config, "x.a.test", "198.51.100.1", 8443), 1);
	assert_int_equal(profile_for(&config, "a.test", "10.1.2.3", 443), 2);
	assert_int_equal(profile_for(&config, "", "192.0.2.255", 8443), 2);
	assert_int_equal(profile_for(&config, "b.test", "198.51.100.1", 443), 3);
	assert_int_equal(profile_for(&config, "x.b.test", "198.51.100.1", 443), 0);
	assert_int_equal(profile_for(&config, "", "198.51.100.1", 9010), 4);
	assert_int_equal(profile_for(&config, "", "198.51.100.1", 9011), 0);
	config_free(&config);
}

static void assert_profile(const struct config *config, size_t index, const char *name,
			   enum config_verify verify, const char *ca)
{
	const struct upstream_profile profile = upstream_profile_of(config, index);

	assert_string_equal(profile.name, name);
	assert_int_equal(profile.verify, verify);
	if (ca)
		assert_string_equal(profile.ca, ca);
	else
		assert_null(profile.ca);
}

/* What a rule leaves out is the section's, also where the section stands behind it. */
static void test_what_is_left_out_is_the_sections(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "{\"upstream\": {\"rules\": ["
			   "{\"sni\": \"a\", \"verify\": \"off\"},"
			   "{\"sni\": \"b\", \"ca\": \"/b.pem\", \"comment\": \"ours\"},"
			   "{\"sni\": \"c\", \"ca\": \"/c.pem\", \"verify\": \"mimic\"}],"
			   "\"verify\": \"require\", \"ca\": \"/u.pem\"}}");
	assert_profile(&config, 0, "upstream", VERIFY_REQUIRE, "/u.pem");
	assert_profile(&config, 1, "upstream.rules[0]", VERIFY_OFF, "/u.pem");
	assert_profile(&config, 2, "upstream.rules[1]", VERIFY_REQUIRE, "/b.pem");
	assert_profile(&config, 3, "upstream.rules[2]", VERIFY_MIMIC, "/c.pem");
	config_free(&config);
	read_good(&config, "{}");
	assert_int_equal(upstream_profiles(&config), 1);
	assert_profile(&config, 0, "upstream", VERIFY_MIMIC, NULL);
	assert_int_equal(profile_for(&config, "a", "192.0.2.1", 443), 0);
	config_free(&config);
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("{\"upstream\": {\"rules\": {}}}",
		       "1: \"upstream.rules\": is an object, expected a list of rules: [{ ... }]");
	assert_refused("{\"upstream\": {\"rules\": [\n{\"verify\": \"off\"}]}}",
		       "2: \"upstream.rules[0]\": says nothing about which origins; expected "
		       "\"sni\", \"networks\" or \"ports\"");
	assert_refused("{\"upstream\": {\"rules\": [{\"sni\": \"a\", \"verify\": \"no\"}]}}",
		       "1: \"upstream.rules[0].verify\": is \"no\", expected mimic, require or "
		       "off");
	assert_refused("{\"upstream\": {\"rules\": [{\"sni\": \"a\", \"ca\": 1}]}}",
		       "1: \"upstream.rules[0].ca\": is a number, expected text in quotes");
	assert_refused("{\"upstream\": {\"rules\": [{\"sni\": \"a\", \"alpn\": \"h2\"}]}}",
		       "1: \"upstream.rules[0].alpn\": unknown key, see ksplit.json(5) for "
		       "those that there are");
	assert_refused("{\"upstream\": {\"rule\": []}}",
		       "1: \"upstream.rule\": unknown key, did you mean \"upstream.rules\"?");
	assert_refused("{\"upstream.rules\": []}",
		       "1: \"upstream.rules\": unknown key, see ksplit.json(5) for those that "
		       "there are");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_rule_that_matches),
		cmocka_unit_test(test_what_is_left_out_is_the_sections),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
