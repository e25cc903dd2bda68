// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/tls.h>
#include <stdio.h>
#include <sys/stat.h>

#include "observe/sock_diag.h"
#include "tcp_pair.h"
#include "tls/ktls.h"

#define STATE_ESTABLISHED 1
#define STATE_CLOSE_WAIT  8

static int setup(void **state)
{
	struct sock_diag *diag;

	assert_int_equal(sock_diag_open(&diag), 0);
	*state = diag;
	return 0;
}

static int teardown(void **state)
{
	sock_diag_close(*state);
	sock_diag_close(NULL);
	return 0;
}

static void read_ends(int fd, union conn_address *local, union conn_address *remote)
{
	socklen_t len = sizeof(*local);

	memset(local, 0, sizeof(*local));
	memset(remote, 0, sizeof(*remote));
	assert_int_equal(getsockname(fd, &local->sa, &len), 0);
	len = sizeof(*remote);
	assert_int_equal(getpeername(fd, &remote->sa, &len), 0);
}

static void query(struct sock_diag *diag, int fd, struct sock_diag_info *info)
{
	union conn_address local, remote;

	read_ends(fd, &local, &remote);
	assert_int_equal(sock_diag_query(diag, &local, &remote, info), 0);
}

static void test_loopback_pair(void **state)
{
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		struct sock_diag_info client, server;
		struct tcp_pair pair;
		char buf[100] = {0};

		tcp_pair_open(&pair, (enum tcp_pair_family)family);
		assert_int_equal(send(pair.client, buf, sizeof(buf), 0), sizeof(buf));
		assert_int_equal(recv(pair.server, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
		query(*state, pair.client, &client);
		query(*state, pair.server, &server);
		assert_true(client.found && server.found);
		assert_int_equal(client.tcp.tcpi_state, STATE_ESTABLISHED);
		assert_int_equal(client.tcp.tcpi_data_segs_out, 1);
		assert_int_equal(server.tcp.tcpi_bytes_received, sizeof(buf));
		assert_true(client.tcp.tcpi_snd_mss > 500);
		assert_true(client.tcp.tcpi_snd_cwnd > 0);
		assert_true(client.tcp.tcpi_rtt > 0 && client.tcp.tcpi_rtt < 1000000);
		assert_false(client.has_ulp);
		assert_string_equal(client.ulp, "");
		assert_int_equal(client.tls_version, 0);
		assert_int_equal(client.tls_rxconf, 0);
		shutdown(pair.client, SHUT_WR);
		assert_int_equal(recv(pair.server, buf, sizeof(buf), 0), 0);
		query(*state, pair.server, &server);
		assert_int_equal(server.tcp.tcpi_state, STATE_CLOSE_WAIT);
		tcp_pair_close(&pair);
	}
}

/* An exchange is one query and one answer: many in a row stay in step, found or not. */
/* What leads from a socket to its process. */
static void test_identity(void **state)
{
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		struct sock_diag_info info;
		struct tcp_pair pair;
		uint64_t cookie;
		socklen_t len = sizeof(cookie);
		struct stat st;

		tcp_pair_open(&pair, (enum tcp_pair_family)family);
		query(*state, pair.client, &info);
		assert_int_equal(
			getsockopt(pair.client, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
		assert_int_equal(info.cookie, cookie);
		assert_int_equal(fstat(pair.client, &st), 0);
		assert_int_equal(info.inode, st.st_ino);
		assert_int_equal(info.uid, geteuid());
		tcp_pair_close(&pair);
	}
}

static void test_not_found(void **state)
{
	union conn_address local, remote, closed_local, closed_remote, unknown;
	struct sock_diag_info info;
	struct tcp_pair pair, closed;

	tcp_pair_open(&pair, TCP_PAIR_V4);
	tcp_pair_open(&closed, TCP_PAIR_V4);
	read_ends(pair.server, &local, &remote);
	read_ends(closed.client, &closed_local, &closed_remote);
	tcp_pair_close(&closed);
	unknown = remote;
	unknown.in.sin_port = htons(1); /* nobody connects from there: the listener matches */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sock_diag_query(*state, &local, &unknown, &info), 0);
		assert_false(info.found);
		assert_int_equal(info.tcp.tcpi_state, 0);
		assert_int_equal(sock_diag_query(*state, &unknown, &local, &info), 0);
		assert_false(info.found);
		/* In TIME_WAIT. */
		assert_int_equal(sock_diag_query(*state, &closed_local, &closed_remote, &info), 0);
		assert_false(info.found);
		assert_int_equal(sock_diag_query(*state, &local, &remote, &info), 0);
		assert_true(info.found);
	}
	tcp_pair_close(&pair);
}

static void test_bad_addresses(void **state)
{
	union conn_address v4 = {.in = {.sin_family = AF_INET}};
	union conn_address v6 = {.in6 = {.sin6_family = AF_INET6}};
	union conn_address none = {.sa = {.sa_family = AF_UNSPEC}};
	struct sock_diag_info info;

	assert_int_equal(sock_diag_query(*state, &v4, &v6, &info), -EAFNOSUPPORT);
	assert_int_equal(sock_diag_query(*state, &v6, &v4, &info), -EAFNOSUPPORT);
	assert_int_equal(sock_diag_query(*state, &none, &none, &info), -EAFNOSUPPORT);
	assert_int_equal(sock_diag_query(*state, &v4, &none, &info), -EAFNOSUPPORT);
	assert_false(info.found);
}

/* Needs kernel TLS; without it there is nothing that the kernel could tell. */
static void test_tls(void **state)
{
	const struct tls_keys keys = {.version = 0x0304, .aead = TLS_AEAD_AES256_GCM};
	struct sock_diag_info info;
	struct tcp_pair pair;
	int err;

	tcp_pair_open(&pair, TCP_PAIR_V4);
	err = ktls_install_ulp(pair.client);
	printf("kernel TLS: %s\n", err ? "no" : "yes");
	if (err) {
		assert_int_equal(err, -ENOENT);
		tcp_pair_close(&pair);
		return;
	}
	query(*state, pair.client, &info);
	assert_true(info.has_ulp);
	assert_string_equal(info.ulp, "tls");
	assert_int_equal(info.tls_version, 0);
	assert_int_equal(info.tls_txconf, TLS_CONF_BASE);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_TX, &keys), 0);
	query(*state, pair.client, &info);
	assert_int_equal(info.tls_txconf, TLS_CONF_SW);
	assert_int_equal(info.tls_rxconf, TLS_CONF_BASE);
	assert_int_equal(ktls_push_keys(pair.client, KTLS_RX, &keys), 0);
	query(*state, pair.client, &info);
	assert_int_equal(info.tls_version, 0x0304);
	assert_int_equal(info.tls_cipher, TLS_CIPHER_AES_GCM_256);
	assert_int_equal(info.tls_rxconf, TLS_CONF_SW);
	assert_false(info.tls_rx_no_pad || info.tls_tx_zerocopy);
	tcp_pair_close(&pair);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(sock_diag_tls_conf_name(0), "none");
	assert_string_equal(sock_diag_tls_conf_name(1), "base");
	assert_string_equal(sock_diag_tls_conf_name(2), "sw");
	assert_string_equal(sock_diag_tls_conf_name(3), "hw");
	assert_string_equal(sock_diag_tls_conf_name(4), "hw-record");
	assert_string_equal(sock_diag_tls_conf_name(5), "unknown");
	assert_string_equal(sock_diag_tls_cipher_name(0), "none");
	assert_string_equal(sock_diag_tls_cipher_name(51), "AES-GCM-128");
	assert_string_equal(sock_diag_tls_cipher_name(52), "AES-GCM-256");
	assert_string_equal(sock_diag_tls_cipher_name(54), "CHACHA20-POLY1305");
	assert_string_equal(sock_diag_tls_cipher_name(9999), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback_pair), cmocka_unit_test(test_identity),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_bad_addresses), cmocka_unit_test(test_tls),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
