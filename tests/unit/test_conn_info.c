// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include <openssl/ssl.h>

#include "observe/conn_info.h"

static void test_states(void **state)
{
	(void)state;
	assert_string_equal(conn_state_name(CONN_PEEK), "peek");
	assert_string_equal(conn_state_name(CONN_RESOLVE), "resolve");
	assert_string_equal(conn_state_name(CONN_CONNECT), "connect");
	assert_string_equal(conn_state_name(CONN_PLAIN), "plain");
	assert_string_equal(conn_state_name(CONN_UPSTREAM_HANDSHAKE), "upstream_handshake");
	assert_string_equal(conn_state_name(CONN_LEAF), "leaf");
	assert_string_equal(conn_state_name(CONN_CLIENT_HANDSHAKE), "client_handshake");
	assert_string_equal(conn_state_name(CONN_RELAY), "relay");
	assert_string_equal(conn_state_name(CONN_CLOSING), "closing");
	assert_string_equal(conn_state_name(CONN_STATES), "unknown");
}

static void test_relays_and_versions(void **state)
{
	(void)state;
	assert_string_equal(conn_relay_name(CONN_RELAY_NONE), "none");
	assert_string_equal(conn_relay_name(CONN_RELAY_SPLICE), "splice");
	assert_string_equal(conn_relay_name(CONN_RELAY_COPY), "copy");
	assert_string_equal(conn_relay_name(CONN_RELAY_USER), "user");
	assert_string_equal(conn_relay_name(CONN_RELAY_RAW), "raw");
	assert_string_equal(conn_relay_name((enum conn_relay)99), "unknown");
	assert_string_equal(conn_version_name(0x0303), "TLSv1.2");
	assert_string_equal(conn_version_name(0x0304), "TLSv1.3");
	assert_string_equal(conn_version_name(0), "none");
	assert_string_equal(conn_version_name(0x0301), "unknown");
}

/* All suites of this list have a name, and it is the one that OpenSSL knows them by. */
static void expect_named(const char *list, int at_least)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	STACK_OF(SSL_CIPHER) * ciphers;

	assert_int_equal(SSL_CTX_set_cipher_list(ctx, list), 1);
	assert_int_equal(
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					      "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:"
					      "TLS_AES_128_CCM_8_SHA256"),
		1);
	ciphers = SSL_CTX_get_ciphers(ctx);
	assert_true(sk_SSL_CIPHER_num(ciphers) >= at_least);
	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
		const char *name = conn_suite_name((uint16_t)SSL_CIPHER_get_protocol_id(cipher));

		assert_non_null(name);
		assert_string_equal(name, SSL_CIPHER_standard_name(cipher));
	}
	SSL_CTX_free(ctx);
}

static void test_suites(void **state)
{
	unsigned int known = 0;

	(void)state;
	expect_named("DEFAULT:!PSK:!SRP", 20);
	expect_named("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE-RSA-AES128-"
		     "SHA:RSA+AESGCM:!PSK:!AESCCM:!aNULL:!aDSS",
		     20);
	for (unsigned int suite = 0; suite <= UINT16_MAX; suite++)
		known += conn_suite_name((uint16_t)suite) != NULL;
	assert_int_equal(known, 32);
	assert_null(conn_suite_name(0));
	assert_null(conn_suite_name(0x0a0a));
}

static union conn_address make_address(int family, const char *text, int port)
{
	union conn_address address;

	memset(&address, 0, sizeof(address));
	address.sa.sa_family = (sa_family_t)family;
	address.in.sin_port = htons((uint16_t)port); /* at the same place in both */
	assert_int_equal(inet_pton(family, text,
				   family == AF_INET ? (void *)&address.in.sin_addr
						     : (void *)&address.in6.sin6_addr),
			 1);
	return address;
}

static void expect_printed(int family, const char *text, int port, const char *printed)
{
	union conn_address address = make_address(family, text, port);
	char buf[64];

	assert_ptr_equal(conn_address_print(&address, buf, sizeof(buf)), buf);
	assert_string_equal(buf, printed);
}

static void test_addresses(void **state)
{
	union conn_address unknown = {.sa = {.sa_family = AF_UNSPEC}};
	union conn_address scoped = make_address(AF_INET6, "fe80::1", 443);
	union conn_address v4 = make_address(AF_INET, "192.0.2.1", 443);
	char buf[64] = "x";

	(void)state;
	expect_printed(AF_INET, "192.0.2.1", 443, "192.0.2.1:443");
	expect_printed(AF_INET, "255.255.255.255", 65535, "255.255.255.255:65535");
	expect_printed(AF_INET6, "2001:db8::1", 443, "[2001:db8::1]:443");
	expect_printed(AF_INET6, "::1", 1, "[::1]:1");
	expect_printed(AF_INET6, "::ffff:192.0.2.1", 443, "192.0.2.1:443");
	expect_printed(AF_INET6, "fe80::1", 443, "[fe80::1]:443");
	scoped.in6.sin6_scope_id = 2;
	assert_string_equal(conn_address_print(&scoped, buf, sizeof(buf)), "[fe80::1%2]:443");
	assert_string_equal(conn_address_print(&unknown, buf, sizeof(buf)), "");
	/* Too small a buffer cuts off and ends the string. */
	assert_string_equal(conn_address_print(&v4, buf, 6), "192.0");
	buf[0] = 'x';
	conn_address_print(&v4, buf, 0);
	assert_int_equal(buf[0], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_relays_and_versions),
		cmocka_unit_test(test_suites),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
