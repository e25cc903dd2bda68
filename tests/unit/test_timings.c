// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "bpf_rig.h"
#include "ksplit.skel.h"
#include "observe/timings.h"
#include "process_count.h"
#include "tcp_pair.h"

struct rig {
	struct bpf_object_set *set;
	struct timings *timings;
};

static int setup(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_TIMINGS, true);
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	*state = rig;
	if (bpf_rig_missing())
		return 0;
	bpf_rig_setup(state);
	bpf_rig_make_cgroup();
	assert_int_equal(bpf_object_load(&options, &rig->set), 0);
	assert_int_equal(timings_new(rig->set, &rig->timings), 0);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	timings_free(rig->timings);
	timings_free(NULL);
	bpf_object_free(rig->set);
	free(rig);
	return 0;
}

/* The key of an address; role CLIENT without its port. */
static struct ksplit_endpoint_key key_of(const struct sockaddr_storage *address,
					 enum ksplit_endpoint_role role)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	struct ksplit_endpoint_key key = {.role = (__u8)role};

	if (role == KSPLIT_ENDPOINT_ORIGIN)
		key.port = ntohs(in->sin_port);
	if (address->ss_family == AF_INET) {
		memset(&key.address[10], 0xff, 2);
		memcpy(&key.address[12], &in->sin_addr, 4);
	} else {
		memcpy(key.address, &in6->sin6_addr, 16);
	}
	return key;
}

/* The sums of an endpoint; zero when there are none. */
static struct ksplit_endpoint sums_of(struct rig *rig, const struct ksplit_endpoint_key *key)
{
	struct ksplit_endpoint sum = {0};
	int err = timings_read(rig->timings, key, &sum);

	assert_true(err == 0 || err == -ENOENT);
	return sum;
}

static uint64_t bucket_sum(const __u32 *buckets)
{
	uint64_t sum = 0;

	for (int i = 0; i < KSPLIT_ENDPOINT_BUCKETS; i++)
		sum += buckets[i];
	return sum;
}

/* A connection whose both ends are marked. */
static void connect_marked(struct rig *rig, struct tcp_pair *pair)
{
	pair->client = socket(pair->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(pair->client >= 0);
	assert_int_equal(timings_mark_upstream(rig->timings, pair->client), 0);
	assert_int_equal(
		connect(pair->client, (struct sockaddr *)&pair->address, pair->address_len), 0);
	pair->server = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair->server >= 0);
}

/* Ends of connections are told when the last packet came: a moment after close(2). */
static void wait_closed(struct rig *rig, const struct ksplit_endpoint_key *key, uint64_t closed)
{
	for (int i = 0; i < 1000 && sums_of(rig, key).closed < closed; i++)
		poll(NULL, 0, 10);
	assert_int_equal(sums_of(rig, key).closed, closed);
}

static void exchange(int from, int to, int times)
{
	char byte = 'x';

	for (int i = 0; i < times; i++) {
		assert_int_equal(send(from, &byte, 1, 0), 1);
		assert_int_equal(recv(to, &byte, 1, 0), 1);
		assert_int_equal(send(to, &byte, 1, 0), 1);
		assert_int_equal(recv(from, &byte, 1, 0), 1);
	}
}

static void test_connection(void **state)
{
	struct rig *rig = *state;

	BPF_RIG_NEEDS_BPF();
	assert_string_equal(timings_why(rig->timings), "");
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		struct ksplit_endpoint_key origin, client;
		struct ksplit_endpoint before, sum;
		struct tcp_pair pair;

		tcp_pair_listen(&pair, (enum tcp_pair_family)family, 0);
		assert_int_equal(timings_mark_listener(rig->timings, pair.listener), 0);
		origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
		client = key_of(&pair.address, KSPLIT_ENDPOINT_CLIENT);
		before = sums_of(rig, &client);
		connect_marked(rig, &pair);
		exchange(pair.client, pair.server, 10);

		sum = sums_of(rig, &origin);
		assert_int_equal(sum.connecting, 1);
		assert_int_equal(sum.established, 1);
		assert_int_equal(sum.failed + sum.closed + sum.retransmits, 0);
		assert_int_equal(bucket_sum(sum.connect_us), 1);
		assert_true(sum.rtt_samples >= 2 && sum.rtt_samples <= 64);
		assert_int_equal(bucket_sum(sum.rtt_us), sum.rtt_samples);
		assert_true(sum.rtt_min_us > 0 && sum.rtt_min_us <= sum.rtt_max_us);
		assert_true(sum.rtt_sum_us >= sum.rtt_max_us);
		assert_true(sum.rtt_sum_us <= sum.rtt_max_us * sum.rtt_samples);

		sum = sums_of(rig, &client);
		assert_int_equal(sum.established, before.established + 1);
		assert_int_equal(sum.connecting, 0);
		assert_int_equal(bucket_sum(sum.connect_us), 0);
		assert_true(sum.rtt_samples > before.rtt_samples);

		tcp_pair_close(&pair);
		wait_closed(rig, &origin, 1);
		wait_closed(rig, &client, before.closed + 1);
		assert_true(sums_of(rig, &origin).lifetime_sum_us > 0);
		assert_int_equal(sums_of(rig, &client).failed, 0);
	}
}

/* Sockets of others in the same cgroup do not count. */
static void test_not_marked(void **state)
{
	struct rig *rig = *state;
	struct ksplit_endpoint_key origin;
	struct ksplit_endpoint sum;
	struct tcp_pair pair;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_open(&pair, TCP_PAIR_V4);
	exchange(pair.client, pair.server, 3);
	origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
	assert_int_equal(timings_read(rig->timings, &origin, &sum), -ENOENT);
	tcp_pair_close(&pair);
	assert_int_equal(timings_read(rig->timings, &origin, &sum), -ENOENT);
}

static void test_refused(void **state)
{
	struct rig *rig = *state;
	struct ksplit_endpoint_key origin;
	struct ksplit_endpoint sum;
	struct tcp_pair pair;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	close(pair.listener);
	origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
	pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned int i = 1; i <= 2; i++) {
		/* The second time with the same socket. */
		assert_int_equal(timings_mark_upstream(rig->timings, pair.client), 0);
		assert_int_equal(
			connect(pair.client, (struct sockaddr *)&pair.address, pair.address_len),
			-1);
		assert_int_equal(errno, ECONNREFUSED);
		sum = sums_of(rig, &origin);
		assert_int_equal(sum.connecting, i);
		assert_int_equal(sum.failed, i);
		assert_int_equal(sum.established + sum.closed, 0);
	}
	close(pair.client);
	assert_int_equal(sums_of(rig, &origin).failed, 2);
}

/* Someone who gives up: the listener's queue is full, nobody answers. */
static void test_given_up(void **state)
{
	struct rig *rig = *state;
	struct ksplit_endpoint_key origin;
	struct ksplit_endpoint sum;
	struct tcp_pair pair;
	int queued[2], fd;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	assert_int_equal(listen(pair.listener, 0), 0);
	origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
	/* Room for one; a second may still be let in (net/ipv4/tcp_input.c, tcp_conn_request). */
	for (int i = 0; i < 2; i++) {
		queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(queued[i], (struct sockaddr *)&pair.address, pair.address_len);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(timings_mark_upstream(rig->timings, fd), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&pair.address, pair.address_len), -1);
	assert_int_equal(errno, EINPROGRESS);
	/* The first SYN is sent again after a second. */
	for (int i = 0; i < 1000 && !sums_of(rig, &origin).retransmits; i++)
		poll(NULL, 0, 10);
	sum = sums_of(rig, &origin);
	assert_true(sum.retransmits >= 1);
	assert_int_equal(sum.connecting, 1);
	assert_int_equal(sum.failed, 0);
	close(fd);
	assert_int_equal(sums_of(rig, &origin).failed, 1);
	for (int i = 0; i < 2; i++)
		close(queued[i]);
	close(pair.listener);
}

/* However long it talks, a connection gives the handshake's sample and 64 more. */
static void test_samples_end(void **state)
{
	struct rig *rig = *state;
	struct ksplit_endpoint_key origin;
	struct tcp_pair pair;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
	connect_marked(rig, &pair);
	exchange(pair.client, pair.server, 200);
	assert_in_range(sums_of(rig, &origin).rtt_samples, 64, 65);
	tcp_pair_close(&pair);
	wait_closed(rig, &origin, 1); /* its end is told all the same */
}

static void *connect_often(void *arg)
{
	void **job = arg;
	struct rig *rig = job[0];
	struct sockaddr_storage *address = job[1];

	for (int i = 0; i < 50; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (timings_mark_upstream(rig->timings, fd) ||
		    connect(fd, (struct sockaddr *)address, sizeof(struct sockaddr_in)))
			return NULL;
		close(fd);
	}
	return arg;
}

/* Sums are exact though several CPUs count at once. */
static void test_exact(void **state)
{
	struct rig *rig = *state;
	struct ksplit_endpoint_key origin;
	struct ksplit_endpoint sum;
	pthread_t threads[4];
	struct tcp_pair pair;
	void *job[2], *done;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	assert_int_equal(listen(pair.listener, 1000), 0);
	origin = key_of(&pair.address, KSPLIT_ENDPOINT_ORIGIN);
	job[0] = rig;
	job[1] = &pair.address;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, connect_often, job), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
	sum = sums_of(rig, &origin);
	assert_int_equal(sum.connecting, 200);
	assert_int_equal(sum.established, 200);
	assert_int_equal(sum.failed, 0);
	assert_int_equal(bucket_sum(sum.connect_us), 200);
	close(pair.listener);
	wait_closed(rig, &origin, 200);
}

static bool count_visit(void *ctx, const struct ksplit_endpoint_key *key,
			const struct ksplit_endpoint *sum)
{
	int *left = ctx;

	assert_true(key->role == KSPLIT_ENDPOINT_CLIENT || key->role == KSPLIT_ENDPOINT_ORIGIN);
	assert_true(sum->connecting + sum->established > 0);
	return --*left > 0;
}

static void test_for_each(void **state)
{
	struct rig *rig = *state;
	int left = 1000;

	BPF_RIG_NEEDS_BPF();
	assert_int_equal(timings_for_each(rig->timings, count_visit, &left), 0);
	assert_true(1000 - left >= 6); /* those of the tests before */
	left = 2;
	assert_int_equal(timings_for_each(rig->timings, count_visit, &left), 0);
	assert_int_equal(left, 0);
}

/* The link is pinned while it lives. */
static void test_pinned_link(void **state)
{
	struct rig *rig = *state;
	char path[256];

	BPF_RIG_NEEDS_BPF();
	snprintf(path, sizeof(path), "%s/link_timings", bpf_object_pins(rig->set));
	assert_int_equal(access(path, F_OK), 0);
	timings_free(rig->timings);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(timings_new(rig->set, &rig->timings), 0);
	assert_int_equal(access(path, F_OK), 0);
}

/* Without the program all calls are fine, and nothing is counted. */
static void test_off(void **state)
{
	struct bpf_object_options options = {.wanted = {false}};
	struct ksplit_endpoint_key key = {0};
	struct ksplit_endpoint sum;
	struct bpf_object_set *set;
	struct timings *timings;
	int left = 10;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_int_equal(timings_new(set, &timings), 0);
	assert_string_equal(timings_why(timings), "not wanted");
	assert_int_equal(timings_mark_upstream(timings, 0), 0);
	assert_int_equal(timings_mark_listener(timings, 0), 0);
	assert_int_equal(timings_read(timings, &key, &sum), -ENOENT);
	assert_int_equal(timings_for_each(timings, count_visit, &left), 0);
	assert_int_equal(left, 10);
	timings_free(timings);
	bpf_object_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection), cmocka_unit_test(test_not_marked),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_samples_end), cmocka_unit_test(test_exact),
		cmocka_unit_test(test_for_each),   cmocka_unit_test(test_pinned_link),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
