// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/rules_part.h"
#include "capture_read.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static void assert_good(struct config *config, const char *section)
{
	char error[1024];

	if (capture_read(config, section, error, sizeof(error)))
		fail_msg("%s: %s", section, error);
}

static void test_defaults(void **state)
{
	const struct capture_part *part;
	struct config config;

	(void)state;
	assert_good(&config, "");
	assert_false(capture_has_rules(&config.capture));
	assert_false(capture_has_hook(&config.capture));
	config_free(&config);
	assert_good(&config, "\"outgoing\": {}");
	part = &config.capture.parts[CAPTURE_OUTGOING];
	assert_true(part->given);
	assert_true(capture_has_rules(&config.capture));
	assert_false(config.capture.parts[CAPTURE_INCOMING].given);
	assert_int_equal(part->match.ports.len, 1);
	assert_int_equal(part->match.ports.list[0], 443);
	assert_int_equal(part->match.networks.len, 0);
	assert_int_equal(part->match.users.len, 0);
	assert_int_equal(config.capture.mark, 0x6b73);
	assert_int_equal(capture_tproxy_mark(&config.capture), 0x6b74);
	assert_int_equal(config.capture.watchdog, 3000);
	assert_string_equal(config.capture.table, "ksplit");
	assert_false(config.capture.refuse_quic);
	config_free(&config);
}

static void test_everything(void **state)
{
	const struct capture_match *match;
	struct config config;

	(void)state;
	assert_good(&config,
		    "\"outgoing\": {\"ports\": [8443, 443, 8443], \"networks\": [\"192.0.2.0/24\", "
		    "\"::/0\"], \"users\": [1000, \"root\", \"4294967294\", 0], "
		    "\"exempt\": {\"ports\": [22], \"networks\": [\"192.0.2.9\"], \"users\": [7]}, "
		    "\"listener\": [\"127.0.0.1:8443\", \"[::1]:8443\"]},\n"
		    "\"incoming\": {\"sources\": [\"10.0.0.0/8\"], "
		    "\"exempt\": {\"sources\": [\"10.0.0.1\"]}},\n"
		    "\"forwarded\": {\"interfaces\": [\"eth0\", \"wg-1\", \"eth0\"], "
		    "\"method\": \"tproxy\", \"exempt\": {\"interfaces\": [\"eth9\"]}},\n"
		    "\"refuse_quic\": true, \"mark\": 4294967294, \"watchdog\": 500, "
		    "\"table\": \"ksplit_test\"");
	match = &config.capture.parts[CAPTURE_OUTGOING].match;
	assert_int_equal(match->ports.len, 2);
	assert_int_equal(match->ports.list[0], 443);
	assert_int_equal(match->ports.list[1], 8443);
	assert_int_equal(match->networks.len, 2);
	assert_int_equal(match->users.len, 3);
	assert_int_equal(match->users.list[0], 0);
	assert_int_equal(match->users.list[1], 1000);
	assert_int_equal(match->users.list[2], 4294967294U);
	match = &config.capture.parts[CAPTURE_OUTGOING].exempt;
	assert_int_equal(match->ports.list[0], 22);
	assert_int_equal(match->users.list[0], 7);
	assert_int_equal(match->networks.list[0].prefix, 32);
	match = &config.capture.parts[CAPTURE_FORWARDED].match;
	assert_int_equal(match->interfaces.len, 2);
	assert_string_equal(match->interfaces.list[1], "wg-1");
	assert_int_equal(config.capture.own_ports.len, 5);
	assert_true(config.capture.refuse_quic);
	assert_int_equal(config.capture.mark, 4294967294U);
	assert_int_equal(config.capture.watchdog, 500);
	assert_string_equal(config.capture.table, "ksplit_test");
	config_free(&config);
}

static void test_cgroups(void **state)
{
	static const char text[] =
		"{\"capture\": {\"outgoing\": {\"cgroups\": [\"/system.slice/app.service\", "
		"\"user.slice\", \"a/system-foo\\\\x2dbar.slice\", \"user.slice\"], "
		"\"exempt\": {\"cgroups\": [\"it's/ here\"]}}}}";
	const struct capture_part *part;
	struct config config;
	char error[1024];

	(void)state;
	assert_int_equal(config_read_text(&config, text, error, sizeof(error)), 0);
	part = &config.capture.parts[CAPTURE_OUTGOING];
	assert_int_equal(part->match.cgroups.len, 3);
	assert_string_equal(part->match.cgroups.list[0], "system.slice/app.service");
	assert_string_equal(part->match.cgroups.list[1], "user.slice");
	assert_string_equal(part->match.cgroups.list[2], "a/system-foo\\x2dbar.slice");
	assert_string_equal(part->exempt.cgroups.list[0], "it's/ here");
	config_free(&config);
}

static void expect_listener(const union capture_address *listener, const char *address,
			    uint16_t port)
{
	char text[RULES_PART_ADDRESS];

	if (!address) {
		assert_int_equal(listener->sa.sa_family, 0);
		return;
	}
	rules_part_print_address(listener, text);
	assert_string_equal(text, address);
	assert_int_equal(rules_part_port(listener), port);
}

/* The first that is of the right sort and can be reached, or the one that is named. */
static void test_listeners(void **state)
{
	static const struct {
		const char *section;
		enum capture_kind kind;
		const char *address, *address6;
		uint16_t port, port6;
	} rows[] = {
		{"\"outgoing\": {}", CAPTURE_OUTGOING, "127.0.0.1", "[::1]", 8443, 8443},
		{"\"outgoing\": {\"listener\": \"127.0.0.1:8443\"}", CAPTURE_OUTGOING, "127.0.0.1",
		 NULL, 8443, 0},
		{"\"outgoing\": {\"listener\": \"[::1]:8443\"}", CAPTURE_OUTGOING, NULL, "[::1]", 0,
		 8443},
		{"\"outgoing\": {\"listener\": [\"[::]:8444\", \":8444\"]}", CAPTURE_OUTGOING,
		 "0.0.0.0", "[::]", 8444, 8444},
		{"\"incoming\": {}", CAPTURE_INCOMING, "0.0.0.0", "[::]", 8444, 8444},
		{"\"incoming\": {\"listener\": \"192.0.2.1:8446\"}", CAPTURE_INCOMING, "192.0.2.1",
		 NULL, 8446, 0},
		{"\"forwarded\": {\"listener\": \"[2001:db8::1]:8446\"}", CAPTURE_FORWARDED, NULL,
		 "[2001:db8::1]", 0, 8446},
		{"\"forwarded\": {\"method\": \"redirect\"}", CAPTURE_FORWARDED, "0.0.0.0", "[::]",
		 8444, 8444},
		{"\"forwarded\": {\"method\": \"tproxy\"}", CAPTURE_FORWARDED, "127.0.0.1", "[::]",
		 8445, 8445},
	};
	const struct capture_part *part;
	struct config config;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_good(&config, rows[i].section);
		part = &config.capture.parts[rows[i].kind];
		expect_listener(&part->listener, rows[i].address, rows[i].port);
		expect_listener(&part->listener6, rows[i].address6, rows[i].port6);
		config_free(&config);
	}
}

/* Other listeners than the file's, from the command line, change what was found. */
static void test_resolve_again(void **state)
{
	struct config config;
	char error[1024];

	(void)state;
	assert_good(&config, "\"outgoing\": {}");
	config.listeners_len = 1;
	config.listeners[0].address.in.sin_port = htons(9443);
	assert_int_equal(config_capture_resolve(&config, "FILE", error, sizeof(error)), 0);
	expect_listener(&config.capture.parts[CAPTURE_OUTGOING].listener, "127.0.0.1", 9443);
	expect_listener(&config.capture.parts[CAPTURE_OUTGOING].listener6, NULL, 0);
	assert_int_equal(config.capture.own_ports.len, 1);
	assert_int_equal(config.capture.own_ports.list[0], 9443);
	config_free(&config);
}

#define NETWORK_FORM   "expected a network as 192.0.2.0/24 or 2001:db8::/32, or an address"
#define CGROUP_FORM    "expected a cgroup's path below the root, as \"system.slice/app.service\""
#define INTERFACE_FORM "expected an interface's name of at most 15 letters"
#define TABLE_FORM     "expected ksplit, alone or with a-z, 0-9 and _ behind it, at most 31 letters"

static const struct {
	const char *section, *error;
} wrong[] = {
	{"\"outgoing\": []", "2: \"capture.outgoing\": is a list, expected an object"},
	{"\"outgoin\": {}",
	 "2: \"capture.outgoin\": unknown key, did you mean \"capture.outgoing\"?"},
	{"\"zzz\": {}",
	 "2: \"capture.zzz\": unknown key, see ksplit.json(5) for those that there are"},
	{"\"outgoing\": {},\n\"outgoing\": {}", "3: \"capture.outgoing\": given twice"},
	{"\"outgoing\": {\n\"port\": [443]}",
	 "3: \"capture.outgoing.port\": unknown key, did you mean \"capture.outgoing.ports\"?"},
	{"\"outgoing\": {\n\"sources\": [\"::1\"]}",
	 "3: \"capture.outgoing.sources\": unknown key, see ksplit.json(5) for those that there "
	 "are"},
	{"\"incoming\": {\n\"users\": [1]}",
	 "3: \"capture.incoming.users\": unknown key, see ksplit.json(5) for those that there "
	 "are"},
	{"\"outgoing\": {\"ports\": 443}",
	 "2: \"capture.outgoing.ports\": is a number, expected a list"},
	{"\"outgoing\": {\"ports\": []}",
	 "2: \"capture.outgoing.ports\": is an empty list, expected at least one, or no such key"},
	{"\"outgoing\": {\"ports\": [443,\n0]}",
	 "3: \"capture.outgoing.ports[1]\": is 0, expected a whole number from 1 to 65535"},
	{"\"outgoing\": {\"ports\": [65536]}",
	 "2: \"capture.outgoing.ports[0]\": is 65536, expected a whole number from 1 to 65535"},
	{"\"outgoing\": {\"ports\": [44.3]}",
	 "2: \"capture.outgoing.ports[0]\": is 44.3, expected a whole number from 1 to 65535"},
	{"\"outgoing\": {\"ports\": [\"443\"]}",
	 "2: \"capture.outgoing.ports[0]\": is a string, expected a whole number from 1 to 65535"},
	{"\"outgoing\": {\"networks\": [\"10.0.0.0/8\",\n\"10.0.0.1/8\"]}",
	 "3: \"capture.outgoing.networks[1]\": is \"10.0.0.1/8\", expected no bits behind the "
	 "prefix: 10.0.0.0/8 is the network"},
	{"\"outgoing\": {\"exempt\": {\n\"networks\": [\"lan\"]}}",
	 "3: \"capture.outgoing.exempt.networks[0]\": is \"lan\", " NETWORK_FORM},
	{"\"outgoing\": {\"networks\": [1]}",
	 "2: \"capture.outgoing.networks[0]\": is a number, expected text in quotes"},
	{"\"outgoing\": {\"users\": [\"ksplit-nobody-has-this\"]}",
	 "2: \"capture.outgoing.users[0]\": is \"ksplit-nobody-has-this\", expected a user of this "
	 "host (getent passwd) or a number"},
	{"\"outgoing\": {\"users\": [\"4294967295\"]}",
	 "2: \"capture.outgoing.users[0]\": is \"4294967295\", expected a user of this host "
	 "(getent "
	 "passwd) or a number"},
	{"\"outgoing\": {\"users\": [-1]}",
	 "2: \"capture.outgoing.users[0]\": is -1, expected a whole number from 0 to 4294967294"},
	{"\"outgoing\": {\"users\": [true]}",
	 "2: \"capture.outgoing.users[0]\": is true, expected a user's name or number"},
	{"\"outgoing\": {\"users\": [\"\"]}",
	 "2: \"capture.outgoing.users[0]\": is empty, expected a user's name or number"},
	{"\"outgoing\": {\"cgroups\": [\"/\"]}",
	 "2: \"capture.outgoing.cgroups[0]\": is \"/\", " CGROUP_FORM},
	{"\"outgoing\": {\"cgroups\": [\"a//b\"]}",
	 "2: \"capture.outgoing.cgroups[0]\": is \"a//b\", " CGROUP_FORM},
	{"\"outgoing\": {\"cgroups\": [\"a/../b\"]}",
	 "2: \"capture.outgoing.cgroups[0]\": is \"a/../b\", " CGROUP_FORM},
	{"\"outgoing\": {\"cgroups\": [\"a\\\" accept\"]}",
	 "2: \"capture.outgoing.cgroups[0]\": is \"a\" accept\", " CGROUP_FORM},
	{"\"outgoing\": {\"cgroups\": [\"a\\nb\"]}",
	 "2: \"capture.outgoing.cgroups[0]\": is \"a\\x0ab\", " CGROUP_FORM},
	{"\"forwarded\": {\"interfaces\": [\"eth 0\"]}",
	 "2: \"capture.forwarded.interfaces[0]\": is \"eth 0\", " INTERFACE_FORM},
	{"\"forwarded\": {\"interfaces\": [\"eth*\"]}",
	 "2: \"capture.forwarded.interfaces[0]\": is \"eth*\", " INTERFACE_FORM},
	{"\"forwarded\": {\"interfaces\": [\"sixteen-letters-\"]}",
	 "2: \"capture.forwarded.interfaces[0]\": is \"sixteen-letters-\", " INTERFACE_FORM},
	{"\"forwarded\": {\"interfaces\": [\"e\\\"0\"]}",
	 "2: \"capture.forwarded.interfaces[0]\": is \"e\"0\", " INTERFACE_FORM},
	{"\"forwarded\": {\"method\": \"dnat\"}",
	 "2: \"capture.forwarded.method\": is \"dnat\", expected redirect or tproxy"},
	{"\"incoming\": {\"method\": \"tproxy\"}",
	 "2: \"capture.incoming.method\": unknown key, see ksplit.json(5) for those that there "
	 "are"},
	{"\"hook\": {}", "2: \"capture.hook\": names nobody, expected \"cgroups\" or \"units\""},
	{"\"mark\": 0", "2: \"capture.mark\": is 0, expected a whole number from 1 to 4294967294"},
	{"\"mark\": 4294967295",
	 "2: \"capture.mark\": is 4294967295, expected a whole number from 1 to 4294967294"},
	{"\"watchdog\": 499",
	 "2: \"capture.watchdog\": is 499, expected a whole number from 500 to 600000"},
	{"\"refuse_quic\": 1", "2: \"capture.refuse_quic\": is a number, expected true or false"},
	{"\"refuse_quic\": true",
	 "1: \"capture.refuse_quic\": is true, and no part captures port 443, whose clients it is "
	 "for; expected false"},
	{"\"table\": \"filter\"", "2: \"capture.table\": is \"filter\", " TABLE_FORM},
	{"\"table\": \"ksplit }\"", "2: \"capture.table\": is \"ksplit }\", " TABLE_FORM},
	{"\"table\": \"ksplit_0123456789_0123456789_0123\"",
	 "2: \"capture.table\": is \"ksplit_0123456789_0123456789_0123\", " TABLE_FORM},
	{"\"outgoing\": {\n\"listener\": 8443}",
	 "3: \"capture.outgoing.listener\": is a number, expected text in quotes"},
	{"\"outgoing\": {\n\"listener\": \"localhost:8443\"}",
	 "3: \"capture.outgoing.listener\": is \"localhost:8443\", expected ADDR:PORT, "
	 "[ADDR6]:PORT or :PORT with a numeric address"},
	{"\"outgoing\": {\n\"listener\": \"127.0.0.1:0\"}",
	 "3: \"capture.outgoing.listener\": is \"127.0.0.1:0\", expected a port other than 0: "
	 "rules "
	 "need it"},
	{"\"outgoing\": {\"listener\": [\"127.0.0.1:8443\",\n\":8444\"]}",
	 "3: \"capture.outgoing.listener[1]\": is \":8444\", expected one listener for IPv4 and "
	 "one "
	 "for IPv6 at most"},
	{"\"outgoing\": {\n\"listener\": []}",
	 "3: \"capture.outgoing.listener\": is a list, expected text in quotes"},
	/* Seen when all listeners are known. */
	{"\"outgoing\": {\n\"listener\": \"127.0.0.1:9\"}",
	 "3: \"capture.outgoing.listener\": is \"127.0.0.1:9\", expected the address of a "
	 "listener"},
	{"\"outgoing\": {\n\"listener\": \"127.0.0.1:8445\"}",
	 "3: \"capture.outgoing.listener\": is \"127.0.0.1:8445\", which does not lead to "
	 "\"original\"; expected one that does"},
	{"\"outgoing\": {\n\"listener\": \"127.0.0.1:8447\"}",
	 "3: \"capture.outgoing.listener\": is \"127.0.0.1:8447\", which does not lead to "
	 "\"original\"; expected one that does"},
	{"\"forwarded\": {\"method\": \"tproxy\",\n\"listener\": \"127.0.0.1:8443\"}",
	 "3: \"capture.forwarded.listener\": is \"127.0.0.1:8443\", which does not lead to "
	 "\"tproxy\"; expected one that does"},
	{"\"outgoing\": {\n\"listener\": \"192.0.2.1:8446\"}",
	 "3: \"capture.outgoing.listener\": is \"192.0.2.1:8446\": this host's own calls are led "
	 "to "
	 "127.0.0.1 and ::1; expected these, 0.0.0.0 or [::]"},
	{"\"incoming\": {\n\"listener\": \"127.0.0.1:8443\"}",
	 "3: \"capture.incoming.listener\": is \"127.0.0.1:8443\": the kernel drops what comes "
	 "from "
	 "elsewhere for a loopback address; expected 0.0.0.0, [::] or an address of this host"},
	{"\"forwarded\": {\n\"listener\": \"[::1]:8443\"}",
	 "3: \"capture.forwarded.listener\": is \"[::1]:8443\": the kernel drops what comes from "
	 "elsewhere for a loopback address; expected 0.0.0.0, [::] or an address of this host"},
	{"\"outgoing\": {\"networks\": [\"::/0\"],\n\"listener\": \"127.0.0.1:8443\"}",
	 "2: \"capture.outgoing.networks\": has IPv6, for which no listener fits; expected one on "
	 "an IPv6 address that leads to \"original\""},
	{"\"incoming\": {\"sources\": [\"10.0.0.0/8\"],\n\"listener\": \"[::]:8444\"}",
	 "2: \"capture.incoming.sources\": has IPv4, for which no listener fits; expected one on "
	 "an "
	 "IPv4 address that leads to \"original\""},
};

static void test_wrong(void **state)
{
	struct config config;
	char error[1024];

	(void)state;
	for (size_t i = 0; i < LEN(wrong); i++) {
		assert_int_equal(capture_read(&config, wrong[i].section, error, sizeof(error)),
				 -EINVAL);
		assert_string_equal(error, wrong[i].error);
		config_free(&config);
	}
}

#define LISTENER(address, to) "{\"listen\": \"" address "\", \"to\": \"" to "\"}"

/* No listener that fits at all, and what would. */
static void test_no_listener(void **state)
{
	static const struct {
		const char *listeners, *section, *error;
	} rows[] = {
		{LISTENER("127.0.0.1:0", "original"), "\"outgoing\": {}",
		 "2: \"capture.outgoing.listener\": missing, and no listener fits: expected one "
		 "that "
		 "leads to \"original\", on 127.0.0.1, [::1], 0.0.0.0 or [::], with a port other "
		 "than 0"},
		{LISTENER("127.0.0.2:8443", "original"), "\"outgoing\": {}",
		 "2: \"capture.outgoing.listener\": missing, and no listener fits: expected one "
		 "that "
		 "leads to \"original\", on 127.0.0.1, [::1], 0.0.0.0 or [::], with a port other "
		 "than 0"},
		{LISTENER("127.0.0.1:8443", "original"), "\n\"incoming\": {}",
		 "3: \"capture.incoming.listener\": missing, and no listener fits: expected one "
		 "that "
		 "leads to \"original\", on 0.0.0.0, [::] or an address of this host, with a port "
		 "other than 0"},
		{LISTENER("[fe80::1%lo]:8443", "original"),
		 "\"forwarded\": {\"listener\": \"[fe80::1%lo]:8443\"}",
		 "2: \"capture.forwarded.listener\": is \"[fe80::1%1]:8443\": rules cannot lead to "
		 "a "
		 "link-local address; expected [::], or another address"},
		{LISTENER("0.0.0.0:8443", "original"), "\"forwarded\": {\"method\": \"tproxy\"}",
		 "2: \"capture.forwarded.listener\": missing, and no listener fits: expected one "
		 "that leads to \"tproxy\", on any address, with a port other than 0"},
	};
	struct config config;
	char error[1024];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(capture_read_beside(&config, rows[i].listeners, rows[i].section,
						     error, sizeof(error)),
				 -EINVAL);
		assert_string_equal(error, rows[i].error);
		config_free(&config);
	}
}

#define INCOMING(address)                                                                          \
	"{\"listen\": \"" address "\", \"to\": \"original\", \"direction\": \"incoming\"}"

/* A listener that shows the identities of services is for incoming calls, and they go there. */
static void test_directions(void **state)
{
	static const char both[] =
		INCOMING("0.0.0.0:8443") ", " LISTENER("0.0.0.0:8444", "original");
	const struct capture_part *parts;
	struct config config;
	char error[1024];

	(void)state;
	if (capture_read_beside(&config, both,
				"\"outgoing\": {}, \"incoming\": {}, \"forwarded\": {}", error,
				sizeof(error)))
		fail_msg("%s", error);
	parts = config.capture.parts;
	expect_listener(&parts[CAPTURE_OUTGOING].listener, "0.0.0.0", 8444);
	expect_listener(&parts[CAPTURE_INCOMING].listener, "0.0.0.0", 8443);
	expect_listener(&parts[CAPTURE_FORWARDED].listener, "0.0.0.0", 8444);
	config_free(&config);
	/* A gateway may show the identities of services behind it. */
	if (capture_read_beside(&config, both, "\"forwarded\": {\"listener\": \":8443\"}", error,
				sizeof(error)))
		fail_msg("%s", error);
	expect_listener(&config.capture.parts[CAPTURE_FORWARDED].listener, "0.0.0.0", 8443);
	config_free(&config);
	assert_int_equal(capture_read_beside(&config, both,
					     "\"outgoing\": {\"listener\": \":8443\"}", error,
					     sizeof(error)),
			 -EINVAL);
	assert_string_equal(error, "2: \"capture.outgoing.listener\": is \"0.0.0.0:8443\", which "
				   "shows the identities of this host's services; expected one for "
				   "outgoing calls");
	config_free(&config);
	assert_int_equal(capture_read_beside(&config, INCOMING("0.0.0.0:8443"), "\"forwarded\": {}",
					     error, sizeof(error)),
			 -EINVAL);
	config_free(&config);
}

/* Told of the part whose listener it is, whatever family it has. */
static void test_transparent(void **state)
{
	static const char both[] =
		INCOMING("0.0.0.0:8443") ", {\"listen\": \"[::]:8443\", \"to\": \"original\", "
					 "\"direction\": \"incoming\", "
					 "\"client_address\": \"transparent\"}, "
					 LISTENER("0.0.0.0:8444", "original");
	struct config config;
	char error[1024];

	(void)state;
	assert_int_equal(capture_read_beside(&config, both, "\"outgoing\": {}, \"incoming\": {}",
					     error, sizeof(error)),
			 0);
	assert_true(config.capture.parts[CAPTURE_INCOMING].transparent);
	assert_false(config.capture.parts[CAPTURE_OUTGOING].transparent);
	config_free(&config);
	assert_int_equal(capture_read_beside(&config, both,
					     "\"incoming\": {\"listener\": \"0.0.0.0:8443\"}",
					     error, sizeof(error)),
			 0);
	assert_false(config.capture.parts[CAPTURE_INCOMING].transparent);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_everything),
		cmocka_unit_test(test_cgroups),       cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_resolve_again), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_no_listener),   cmocka_unit_test(test_directions),
		cmocka_unit_test(test_transparent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
