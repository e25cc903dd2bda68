// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static union conn_address address_of(const char *ip, uint16_t port)
{
	union conn_address address = {0};

	if (inet_pton(AF_INET, ip, &address.in.sin_addr) == 1) {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, ip, &address.in6.sin6_addr), 1);
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons(port);
	}
	return address;
}

static void test_names(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
		{"bank.example", "bank.example", true},
		{"BANK.example", "bank.Example", true},
		{"bank.example", "www.bank.example", false},
		{"bank.example", "xbank.example", false},
		{"*.bank.example", "www.bank.example", true},
		{"*.bank.example", "a.b.c.bank.example", true},
		{"*.bank.example", "bank.example", false},
		{"*.bank.example", "xbank.example", false},
		{"*.bank.example", "www.bank.example.org", false},
		{"*", "localhost", true},
		{"*", "a.b.c", true},
		{"*", "", false},
		{"bank.example", "", false},
		{"w*.bank.example", "www.bank.example", true},
		{"w*.bank.example", "w.bank.example", true},
		{"w*.bank.example", "w.x.bank.example", false},
		{"*w.bank.example", "www.bank.example", true},
		{"*w.bank.example", "x.www.bank.example", false},
		{"a*b*c.example", "axxbyyc.example", true},
		{"a*b*c.example", "axxbyycd.example", false},
		{"a*b*c.example", "abcbc.example", true},
		{"www.*.example", "www.bank.example", true},
		{"www.*.example", "www.a.b.example", false},
		{"*.*.example", "a.b.example", true},
		{"*.*.example", "a.b.c.example", true},
		{"*.*.example", "b.example", false},
		{"**.example", "b.example", true},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", true},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		if (policy_sni_matches(rows[i].pattern, rows[i].name) != rows[i].matches)
			fail_msg("%s, %s", rows[i].pattern, rows[i].name);
	}
}

/* A pattern that would keep a backtracking matcher busy for ever. */
static void test_name_of_many_stars(void **state)
{
	char pattern[64] = "", name[64];

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(pattern, "*a");
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_true(policy_sni_matches(pattern, name));
	name[62] = 'b';
	assert_false(policy_sni_matches(pattern, name));
}

static void test_name_patterns(void **state)
{
	static const char *const wrong[] = {"",	      ".",	"a..b", ".a",	 "a b",	 "a/b",
					    "b\xc3\xbc", "a.b..", "[::1]", "a\tb", "a,b"};
	char out[POLICY_NAME_MAX + 1], text[300];

	(void)state;
	assert_null(policy_sni_parse("*.Bank.EXAMPLE.", out));
	assert_string_equal(out, "*.bank.example");
	assert_null(policy_sni_parse("a_b-1.example", out));
	for (size_t i = 0; i < LEN(wrong); i++)
		if (!policy_sni_parse(wrong[i], out))
			fail_msg("taken: %s", wrong[i]);
	assert_non_null(strstr(policy_sni_parse("b\xc3\xbc", out), "xn--"));
	memset(text, 'a', sizeof(text));
	text[64] = '\0';
	assert_non_null(policy_sni_parse(text, out));
	text[63] = '\0';
	assert_null(policy_sni_parse(text, out));
	for (int i = 1; i < 254; i += 2)
		text[i - 1] = 'a', text[i] = '.';
	text[253] = '\0';
	assert_null(policy_sni_parse(text, out));
	strcpy(text + 253, "b");
	assert_non_null(policy_sni_parse(text, out));
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool has;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.0/23", "192.0.3.0", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"::/0", "::ffff:192.0.2.1", false},
		{"::ffff:192.0.2.0/120", "192.0.2.9", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::", false},
	};
	static const char *const wrong[] = {
		"",      "10",     "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1", "10.1.0.0/8",
		"::1/0", "::/129", "example.com", "10.0.0.0/8 ", "/8",          "10.0.0.0/0008"};
	struct policy_network network;
	union conn_address address;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_null(policy_network_parse(rows[i].network, &network));
		address = address_of(rows[i].address, 1);
		if (policy_network_has(&network, &address) != rows[i].has)
			fail_msg("%s, %s", rows[i].network, rows[i].address);
	}
	for (size_t i = 0; i < LEN(wrong); i++)
		if (!policy_network_parse(wrong[i], &network))
			fail_msg("taken: %s", wrong[i]);
	memset(&address, 0, sizeof(address));
	assert_null(policy_network_parse("0.0.0.0/0", &network));
	assert_false(policy_network_has(&network, &address));
}

static void test_processes(void **state)
{
	static const struct {
		const char *pattern;
		enum policy_process_kind kind;
		bool matches;
	} rows[] = {
		{"java", POLICY_COMMAND, true},
		{"ja*", POLICY_COMMAND, true},
		{"jav", POLICY_COMMAND, false},
		{"/opt/app/bin/java", POLICY_PATH, true},
		{"/opt/*/bin/*", POLICY_PATH, true},
		{"/opt/*", POLICY_PATH, false},
		{"app.service", POLICY_CGROUP, true},
		{"app-*.slice", POLICY_CGROUP, false},
		{"system.slice", POLICY_CGROUP, true},
		{"*.service", POLICY_CGROUP, true},
		{"system.slice/app.service", POLICY_CGROUP, true},
		{"system.slice/app.service/", POLICY_CGROUP, true},
		{"system.slice/*.service", POLICY_CGROUP, true},
		{"app.service/sub", POLICY_CGROUP, false},
		{"system.slice/app.service/sub/deeper", POLICY_CGROUP, false},
	};
	static const struct policy_caller caller = {
		.command = "java",
		.path = "/opt/app/bin/java",
		.cgroup = "/system.slice/app.service/sub",
	};
	static const struct policy_caller nobody;
	struct policy_process process;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_null(policy_process_parse(rows[i].pattern, &process));
		assert_int_equal(process.kind, rows[i].kind);
		if (policy_process_matches(&process, &caller) != rows[i].matches)
			fail_msg("%s", rows[i].pattern);
		assert_false(policy_process_matches(&process, &nobody));
		free(process.glob);
	}
	assert_null(policy_process_parse("*", &process));
	assert_false(policy_process_matches(&process, &nobody));
	free(process.glob);
	assert_non_null(policy_process_parse("", &process));
	assert_non_null(policy_process_parse("/", &process));
	assert_non_null(policy_process_parse("0123456789abcdef", &process));
}

struct asked {
	int times;
	bool known;
};

static bool find_caller(void *ctx, struct policy_caller *out)
{
	struct asked *asked = ctx;

	asked->times++;
	*out = (struct policy_caller){.command = "curl"};
	return asked->known;
}

static void test_match(void **state)
{
	char *names[] = {(char[]){"x.example"}, (char[]){"*.y.example"}};
	char *protocols[] = {(char[]){"h2"}};
	struct policy_ports ports[] = {{443, 443}, {8000, 8100}};
	struct policy_process curl[] = {{POLICY_COMMAND, (char[]){"curl"}}};
	struct policy_network networks[1];
	struct policy_rule rules[] = {
		{.sni = names, .sni_len = 2, .processes = curl, .processes_len = 1},
		{.processes = curl, .processes_len = 1, .ports = ports, .ports_len = 1},
		{.sni = names, .sni_len = 1, .ports = ports, .ports_len = 2},
		{.alpn = protocols, .alpn_len = 1, .networks = networks, .networks_len = 1},
	};
	const struct policy policy = {.rules = rules, .len = LEN(rules)};
	const uint8_t h2[] = "\x08http/1.1\x02h2", h2c[] = "\x03h2c\x02h";
	union conn_address addresses[2] = {address_of("192.0.2.1", 9999),
					   address_of("198.51.100.1", 8050)};
	struct asked asked = {0};
	struct policy_call call = {.sni = "x.example",
				   .addresses = addresses,
				   .addresses_len = 2,
				   .find_caller = find_caller,
				   .ctx = &asked};

	(void)state;
	assert_null(policy_network_parse("192.0.2.0/24", networks));
	assert_true(policy_names_processes(&policy));
	assert_int_equal(policy_match(&policy, &call), 2); /* by the second address */
	assert_int_equal(asked.times, 1);
	asked.known = true;
	assert_int_equal(policy_match(&policy, &call), 0);
	addresses[0] = address_of("203.0.113.1", 443);
	call.sni = "";
	assert_int_equal(policy_match(&policy, &call), 1);
	/* Nothing else matches, so nobody asks. */
	asked.times = 0;
	addresses[0] = address_of("192.0.2.1", 1);
	call.addresses_len = 1;
	assert_int_equal(policy_match(&policy, &call), -ENOENT);
	assert_int_equal(asked.times, 0);
	call.alpn = h2;
	call.alpn_len = sizeof(h2) - 1;
	assert_int_equal(policy_match(&policy, &call), 3);
	call.alpn = h2c;
	call.alpn_len = sizeof(h2c) - 1;
	assert_int_equal(policy_match(&policy, &call), -ENOENT);
	/* A list that lies about its last length is not read beyond its end. */
	call.alpn = h2;
	call.alpn_len = sizeof(h2) - 2;
	assert_int_equal(policy_match(&policy, &call), -ENOENT);
	/* Address and port of one rule are of one address. */
	addresses[0] = address_of("192.0.2.1", 443);
	call = (struct policy_call){.sni = "x.example", .addresses = addresses, .addresses_len = 1};
	assert_int_equal(policy_match(&policy, &call), 2);
	call.addresses_len = 0;
	assert_int_equal(policy_match(&policy, &call), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_name_of_many_stars),
		cmocka_unit_test(test_name_patterns), cmocka_unit_test(test_networks),
		cmocka_unit_test(test_processes),     cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
