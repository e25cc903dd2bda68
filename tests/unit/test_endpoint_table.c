// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aggregate_rig.h"
#include "conn_maker.h"

/* Intercepted, spliced one way and copied the other, three directions of four in the kernel. */
static struct conn_info ended_conn(void)
{
	struct conn_info info = make_conn();

	info.phase_us[CONN_PEEK] = 10;
	info.phase_us[CONN_CONNECT] = 1000;
	info.phase_us[CONN_UPSTREAM_HANDSHAKE] = 2000;
	info.phase_us[CONN_LEAF] = 300;
	info.phase_us[CONN_CLIENT_HANDSHAKE] = 4000;
	info.phase_us[CONN_RELAY] = 50000;
	info.phase_us[CONN_CLOSING] = 5;
	return info;
}

static void open_conn(struct rig *rig)
{
	aggregate_open(rig->aggregate, &rig->conn);
}

static void close_conn(struct rig *rig)
{
	struct conn_info info = ended_conn();
	struct aggregate_tcp tcp = {.rtt_us = 700, .retransmits = 2};

	aggregate_close(rig->aggregate, &rig->conn, &info, &tcp, true);
}

static void assert_one(const struct histogram *histogram, uint64_t value)
{
	assert_int_equal(histogram->count, 1);
	assert_int_equal(histogram->sum, value);
}

static void test_one_connection(void **state)
{
	struct aggregate_snapshot snapshot;
	const struct endpoint *endpoint;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	open_conn(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.endpoints[0].connections, 1);
	assert_int_equal(snapshot.endpoints[0].open, 1);
	assert_about(snapshot.endpoints[0].connections_per_second, 0.1);
	aggregate_snapshot_free(&snapshot);

	rig_sleep(&rig, 60000);
	close_conn(&rig);
	snapshot = rig_snapshot(&rig);
	endpoint = find_endpoint(&snapshot, "192.0.2.1:443");
	assert_non_null(endpoint);
	assert_string_equal(endpoint->server_name, "shop.example");
	assert_int_equal(endpoint->direction, OBSERVE_OUTGOING);
	assert_int_equal(endpoint->connections, 1);
	assert_int_equal(endpoint->open, 0);
	assert_int_equal(endpoint->passed, 0);
	assert_int_equal(endpoint->failed, 0);
	assert_int_equal(endpoint->bytes_to_origin, 5000000000);
	assert_int_equal(endpoint->bytes_to_client, 12);
	assert_int_equal(endpoint->relayed[CONN_RELAY_SPLICE], 1);
	assert_int_equal(endpoint->relayed[CONN_RELAY_USER], 1);
	assert_int_equal(endpoint->kernel_directions, 3);
	assert_int_equal(endpoint->directions, 4);
	assert_one(&endpoint->connect_us, 1000);
	assert_one(&endpoint->upstream_handshake_us, 2000);
	assert_one(&endpoint->leaf_us, 300);
	assert_one(&endpoint->client_handshake_us, 4000);
	assert_one(&endpoint->lifetime_us, 57315);
	assert_one(&endpoint->rtt_us, 700);
	assert_int_equal(endpoint->retransmits, 2);
	assert_about(endpoint->connections_per_second, 0);
	assert_int_equal(endpoint->first_seen_ms, RIG_START_MS);
	assert_int_equal(endpoint->last_seen_ms, RIG_START_MS + 60000);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_passed_connection(void **state)
{
	struct conn_info info = ended_conn();
	struct aggregate_snapshot snapshot;
	const struct endpoint *endpoint;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	rig.conn.passed = info.passed = true;
	info.phase_us[CONN_LEAF] = info.phase_us[CONN_CLIENT_HANDSHAKE] = 0;
	info.flow[FLOW_TO_CLIENT].relay = info.flow[FLOW_TO_ORIGIN].relay = CONN_RELAY_RAW;
	open_conn(&rig);
	aggregate_close(rig.aggregate, &rig.conn, &info, NULL, true);
	snapshot = rig_snapshot(&rig);
	endpoint = &snapshot.endpoints[0];
	assert_int_equal(endpoint->connections, 1);
	assert_int_equal(endpoint->passed, 1);
	assert_int_equal(endpoint->relayed[CONN_RELAY_RAW], 2);
	assert_int_equal(endpoint->directions, 0);
	assert_one(&endpoint->connect_us, 1000);
	assert_int_equal(endpoint->upstream_handshake_us.count, 0); /* it was given up */
	assert_int_equal(endpoint->rtt_us.count, 0);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

/* Only phases that were completed tell how long they take. */
static void test_failed_connection(void **state)
{
	struct conn_info info = ended_conn();
	struct aggregate_tcp tcp = {.rtt_us = 0, .retransmits = 0};
	struct aggregate_snapshot snapshot;
	const struct endpoint *endpoint;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	info.phase_us[CONN_CLIENT_HANDSHAKE] = info.phase_us[CONN_RELAY] = 0;
	info.phase_us[CONN_LEAF] = 0;
	aggregate_close(rig.aggregate, &rig.conn, &info, &tcp, false);
	snapshot = rig_snapshot(&rig);
	endpoint = &snapshot.endpoints[0];
	assert_string_equal(endpoint->server_name, "shop.example");
	assert_int_equal(endpoint->connections, 1);
	assert_int_equal(endpoint->failed, 1);
	assert_int_equal(endpoint->open, 0);
	assert_one(&endpoint->connect_us, 1000);
	assert_int_equal(endpoint->upstream_handshake_us.count, 0);
	assert_int_equal(endpoint->lifetime_us.count, 0);
	assert_int_equal(endpoint->rtt_us.count, 0);
	assert_int_equal(endpoint->directions, 0);
	assert_int_equal(endpoint->relayed[CONN_RELAY_NONE], 0);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_what_makes_an_endpoint(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	open_conn(&rig);
	strcpy(rig.conn.server_name, "other.example"); /* not the name */
	open_conn(&rig);
	rig.conn.endpoint = make_address("::ffff:192.0.2.1", 443); /* nor how IPv4 is written */
	open_conn(&rig);
	rig.conn.endpoint = make_address("192.0.2.1", 8443);
	open_conn(&rig);
	rig.conn.endpoint = make_address("2001:db8::1", 8443);
	open_conn(&rig);
	rig.conn.direction = OBSERVE_INCOMING;
	open_conn(&rig);
	memset(&rig.conn.endpoint, 0, sizeof(rig.conn.endpoint)); /* not known: also one */
	open_conn(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.endpoints_len, 5);
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.1:443")->connections, 3);
	assert_string_equal(find_endpoint(&snapshot, "192.0.2.1:443")->server_name, "shop.example");
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.1:8443")->connections, 1);
	assert_int_equal(find_endpoint(&snapshot, "[2001:db8::1]:8443")->connections, 1);
	assert_int_equal(find_endpoint(&snapshot, "")->connections, 1);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static void test_requests_of_endpoints(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	open_conn(&rig);
	rig_get(&rig, "/a", 3);
	rig.request.status = 500;
	rig_get(&rig, "/b", 2);
	rig_set_ip(&rig, 0xc0000202);
	rig_get(&rig, "/a", 1); /* without having been opened */
	snapshot = rig_snapshot(&rig);
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.1:443")->requests, 5);
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.1:443")->failures, 2);
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.2:443")->requests, 1);
	assert_int_equal(find_endpoint(&snapshot, "192.0.2.2:443")->connections, 0);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static const struct endpoint *other_endpoint(const struct aggregate_snapshot *snapshot)
{
	const struct endpoint *last = &snapshot->endpoints[snapshot->endpoints_len - 1];

	return last->other ? last : NULL;
}

/* The one that was idle longest makes room; never one with an open connection. */
static void test_cap(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 3);
	for (uint32_t ip = 1; ip <= 3; ip++) {
		rig_set_ip(&rig, ip);
		open_conn(&rig);
	}
	for (uint32_t ip = 3; ip >= 2; ip--) { /* 0.0.0.3 first; 0.0.0.1 stays open */
		rig_set_ip(&rig, ip);
		close_conn(&rig);
	}
	rig_set_ip(&rig, 4);
	open_conn(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.endpoints_len, 4);
	assert_non_null(find_endpoint(&snapshot, "0.0.0.1:443"));
	assert_non_null(find_endpoint(&snapshot, "0.0.0.2:443"));
	assert_null(find_endpoint(&snapshot, "0.0.0.3:443"));
	assert_int_equal(other_endpoint(&snapshot)->connections, 1);
	assert_int_equal(other_endpoint(&snapshot)->bytes_to_client, 12);
	assert_one(&other_endpoint(&snapshot)->lifetime_us, 57315);
	assert_string_equal(other_endpoint(&snapshot)->server_name, "");
	aggregate_snapshot_free(&snapshot);

	rig_set_ip(&rig, 2);
	open_conn(&rig);
	rig_set_ip(&rig, 5); /* all have open ones now */
	open_conn(&rig);
	snapshot = rig_snapshot(&rig);
	assert_null(find_endpoint(&snapshot, "0.0.0.5:443"));
	assert_int_equal(other_endpoint(&snapshot)->connections, 2);
	assert_int_equal(other_endpoint(&snapshot)->open, 1);
	aggregate_snapshot_free(&snapshot);

	close_conn(&rig);
	snapshot = rig_snapshot(&rig);
	assert_int_equal(other_endpoint(&snapshot)->open, 0);
	assert_int_equal(other_endpoint(&snapshot)->lifetime_us.count, 2);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*seed >> 33);
}

struct totals_of_endpoints {
	uint64_t connections, open, failed, requests, bytes, lifetimes, retransmits, directions;
};

static void check_totals(struct rig *rig, const struct totals_of_endpoints *expected, size_t max)
{
	struct aggregate_snapshot snapshot = rig_snapshot(rig);
	struct totals_of_endpoints sum = {0};

	assert_true(snapshot.endpoints_len <= max + 1);
	for (size_t i = 0; i < snapshot.endpoints_len; i++) {
		const struct endpoint *endpoint = &snapshot.endpoints[i];

		sum.connections += endpoint->connections;
		sum.open += endpoint->open;
		sum.failed += endpoint->failed;
		sum.requests += endpoint->requests;
		sum.bytes += endpoint->bytes_to_client;
		sum.lifetimes += endpoint->lifetime_us.count;
		sum.retransmits += endpoint->retransmits;
		sum.directions += endpoint->directions;
	}
	assert_memory_equal(&sum, expected, sizeof(sum));
	aggregate_snapshot_free(&snapshot);
}

/* Connections to many more origins than are kept, at random: all sums stay exact. */
static void test_sums_beyond_the_cap(void **state)
{
	enum { CONNS = 64, MAX = 20 };
	struct totals_of_endpoints expected = {0};
	struct conn_info info = ended_conn();
	uint32_t ips[CONNS] = {0}; /* of open connections */
	uint64_t seed = 3;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, MAX);
	for (int i = 0; i < 20000; i++) {
		uint32_t *ip = &ips[next_random(&seed) % (i / 1000 % 2 ? CONNS : MAX)];

		rig_sleep(&rig, 1);
		rig_set_ip(&rig, *ip ? *ip : 1 + next_random(&seed) % 200);
		if (!*ip && next_random(&seed) % 4 == 0) {
			aggregate_close(rig.aggregate, &rig.conn, &info, NULL, false);
			expected.connections++;
			expected.failed++;
			expected.bytes += 12;
		} else if (!*ip) {
			open_conn(&rig);
			*ip = ntohl(rig.conn.endpoint.in.sin_addr.s_addr);
			expected.connections++;
			expected.open++;
		} else if (next_random(&seed) % 2) {
			rig_get(&rig, "/", 1);
			expected.requests++;
		} else {
			close_conn(&rig);
			*ip = 0;
			expected.open--;
			expected.bytes += 12;
			expected.lifetimes++;
			expected.retransmits += 2;
			expected.directions += 4;
		}
		if (i % 500 == 0)
			check_totals(&rig, &expected, MAX);
	}
	check_totals(&rig, &expected, MAX);
	rig_free(&rig);
}

/* A scan of many origins does not grow memory. */
static void test_memory(void **state)
{
	struct aggregate_snapshot snapshot;
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 100);
	for (uint32_t ip = 1; ip <= 100000; ip++) {
		rig_set_ip(&rig, ip);
		open_conn(&rig);
		close_conn(&rig);
	}
	snapshot = rig_snapshot(&rig);
	assert_int_equal(snapshot.endpoints_len, 101);
	assert_int_equal(other_endpoint(&snapshot)->connections, 99900);
	assert_true(snapshot.memory < 100 * 2048 + 64 * 1024);
	aggregate_snapshot_free(&snapshot);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_connection),
		cmocka_unit_test(test_passed_connection),
		cmocka_unit_test(test_failed_connection),
		cmocka_unit_test(test_what_makes_an_endpoint),
		cmocka_unit_test(test_requests_of_endpoints),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_sums_beyond_the_cap),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
