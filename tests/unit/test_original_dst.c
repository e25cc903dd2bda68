// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "capture/original_dst.h"
#include "tcp_pair.h"

#define WANTED_PORT 81
#define PROXY_PORT  8081

union any_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Loopback and this port, IPv4 also where the socket was a v4-mapped one. */
static void expect_loopback(const union any_address *address, socklen_t len,
			    enum tcp_pair_family family, int port)
{
	if (family == TCP_PAIR_V6) {
		assert_int_equal(len, sizeof(address->in6));
		assert_int_equal(address->sa.sa_family, AF_INET6);
		assert_memory_equal(&address->in6.sin6_addr, &in6addr_loopback, 16);
	} else {
		assert_int_equal(len, sizeof(address->in));
		assert_int_equal(address->sa.sa_family, AF_INET);
		assert_int_equal(ntohl(address->in.sin_addr.s_addr), INADDR_LOOPBACK);
	}
	assert_int_equal(ntohs(address->in.sin_port), port);
}

static void test_direct(void **state)
{
	(void)state;
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		union any_address address;
		socklen_t len = sizeof(address);
		struct tcp_pair pair;

		tcp_pair_open(&pair, (enum tcp_pair_family)family);
		assert_int_equal(original_dst_read(pair.server, &address.sa, &len), -ENOENT);
		len = 0;
		assert_int_equal(original_dst_read_tproxy(pair.server, &address.sa, &len), 0);
		expect_loopback(&address, len, (enum tcp_pair_family)family, tcp_pair_port(&pair));
		tcp_pair_close(&pair);
	}
}

static void test_no_ip_socket(void **state)
{
	union any_address address;
	socklen_t len = sizeof(address);
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(original_dst_read(ends[0], &address.sa, &len), -EAFNOSUPPORT);
	assert_int_equal(original_dst_read_tproxy(ends[0], &address.sa, &len), -EAFNOSUPPORT);
	assert_int_equal(original_dst_read(-1, &address.sa, &len), -EBADF);
	close(ends[0]);
	close(ends[1]);
}

/* In a namespace of its own: a rule that sends port 81 to 8081. False: not possible here. */
static bool make_rules(void)
{
	return unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0 &&
	       system("nft 'add table inet t; add chain inet t o { type nat hook output priority "
		      "-100; }; add rule inet t o tcp dport 81 redirect to :8081' 2>&1") == 0;
}

static void expect_redirected(enum tcp_pair_family family)
{
	union any_address address;
	socklen_t len = sizeof(address);
	struct tcp_pair pair;

	tcp_pair_listen(&pair, family, PROXY_PORT);
	tcp_pair_connect(&pair, WANTED_PORT);
	assert_int_equal(original_dst_read(pair.server, &address.sa, &len), 0);
	expect_loopback(&address, len, family, WANTED_PORT);
	close(pair.client);
	close(pair.server);
	/* The rule is there, but this client called the listener itself. */
	tcp_pair_connect(&pair, PROXY_PORT);
	assert_int_equal(original_dst_read(pair.server, &address.sa, &len), -ENOENT);
	tcp_pair_close(&pair);
}

/* Needs root, ip, nft and a kernel that translates addresses; says so where it does not run. */
static void test_redirected(void **state)
{
	int status;
	pid_t child;

	(void)state;
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (!make_rules())
			_exit(77);
		for (int family = 0; family < TCP_PAIR_FAMILIES; family++)
			expect_redirected((enum tcp_pair_family)family);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	printf("redirect: %s\n", WEXITSTATUS(status) == 77 ? "not possible here" : "run");
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_no_ip_socket),
		cmocka_unit_test(test_redirected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
