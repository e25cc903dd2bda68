// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>

#include "bpf_rig.h"
#include "ksplit.skel.h"
#include "observe/caller_key.h"
#include "tcp_pair.h"

#define PROXY_PORT  8081
#define WANTED_PORT 81

static union conn_address address(const char *text, int port)
{
	union conn_address out = {0};

	if (inet_pton(AF_INET, text, &out.in.sin_addr) == 1) {
		out.in.sin_family = AF_INET;
		out.in.sin_port = htons((uint16_t)port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &out.in6.sin6_addr), 1);
		out.in6.sin6_family = AF_INET6;
		out.in6.sin6_port = htons((uint16_t)port);
	}
	return out;
}

static struct ksplit_caller_key key_of(uint64_t netns, const char *source, int source_port,
				       const char *destination, int destination_port)
{
	union conn_address from = address(source, source_port);
	union conn_address to = address(destination, destination_port);
	struct ksplit_caller_key key;

	memset(&key, 0xff, sizeof(key));
	assert_true(caller_key_pack(netns, &from, &to, &key));
	return key;
}

static void test_pack(void **state)
{
	struct ksplit_caller_key expected = {.netns = 7,
					     .source = {[10] = 0xff, 0xff, 192, 0, 2, 1},
					     .destination = {0x20, 0x01, 0x0d, 0xb8, [15] = 9},
					     .source_port = 40000,
					     .destination_port = 443};
	struct ksplit_caller_key key = key_of(7, "192.0.2.1", 40000, "2001:db8::9", 443);

	(void)state;
	assert_memory_equal(&key, &expected, sizeof(key));
	key = key_of(7, "::ffff:192.0.2.1", 40000, "2001:db8::9", 443);
	assert_memory_equal(&key, &expected, sizeof(key));
}

static void test_unknown(void **state)
{
	union conn_address known = address("192.0.2.1", 1), unknown = {0};
	struct ksplit_caller_key key;

	(void)state;
	assert_false(caller_key_pack(0, &known, &unknown, &key));
	assert_false(caller_key_pack(0, &unknown, &known, &key));
}

/* --- keys as the program writes them --- */

struct rig {
	struct bpf_object_set *set;
	struct bpf_link *links[3];
	int callers;
	bool netns; /* keys tell the network namespace */
};

static int setup(void **state)
{
	struct bpf_object_options options = {.wanted = {[BPF_GROUP_PROCESSES] = true}};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct ksplit_bpf *skel;
	int cgroup;

	assert_non_null(rig);
	if (bpf_rig_setup(state)) {
		free(rig);
		return -1;
	}
	*state = rig;
	if (bpf_rig_missing())
		return 0;
	bpf_rig_make_cgroup();
	cgroup = bpf_rig_open_cgroup();
	assert_int_equal(bpf_object_load(&options, &rig->set), 0);
	assert_true(bpf_object_has(rig->set, BPF_GROUP_PROCESSES));
	skel = bpf_object_skeleton(rig->set);
	rig->links[0] = bpf_program__attach_cgroup(skel->progs.process_connect4, cgroup);
	rig->links[1] = bpf_program__attach_cgroup(skel->progs.process_connect6, cgroup);
	rig->links[2] = bpf_program__attach_cgroup(skel->progs.process_connect, cgroup);
	for (int i = 0; i < 3; i++)
		assert_non_null(rig->links[i]);
	close(cgroup);
	rig->callers = bpf_map__fd(skel->maps.callers);
	rig->netns = skel->rodata->netns_cookies;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 3; i++)
		bpf_link__destroy(rig->links[i]);
	bpf_object_free(rig->set);
	free(rig);
	return 0;
}

/* Who is known to have connected from this socket to that address; 0: nobody. */
static pid_t caller_of(const struct rig *rig, uint64_t netns, int fd, const union conn_address *to)
{
	union conn_address from = {0};
	socklen_t len = sizeof(from);
	struct ksplit_process process;
	struct ksplit_caller_key key;

	assert_int_equal(getsockname(fd, &from.sa, &len), 0);
	assert_true(caller_key_pack(netns, &from, to, &key));
	if (bpf_map_lookup_elem(rig->callers, &key, &process))
		return 0;
	return (pid_t)process.pid;
}

static uint64_t own_netns(const struct rig *rig)
{
	return rig->netns ? caller_key_netns() : 0;
}

static union conn_address listener_of(const struct tcp_pair *pair, int port)
{
	union conn_address to = {0};

	memcpy(&to, &pair->address, pair->address_len);
	to.in.sin_port = htons((uint16_t)port);
	return to;
}

static void expect_caller(const struct rig *rig, enum tcp_pair_family family, int listen_at,
			  int call)
{
	union conn_address to, other;
	struct tcp_pair pair;

	tcp_pair_listen(&pair, family, listen_at);
	if (!call)
		call = tcp_pair_port(&pair);
	tcp_pair_connect(&pair, call);
	to = listener_of(&pair, call);
	other = listener_of(&pair, call ^ 1);
	assert_int_equal(caller_of(rig, own_netns(rig), pair.client, &to), getpid());
	assert_int_equal(caller_of(rig, own_netns(rig), pair.client, &other), 0);
	/* What was accepted has connected to nobody. */
	assert_int_equal(caller_of(rig, own_netns(rig), pair.server, &to), 0);
	tcp_pair_close(&pair);
}

/* Plain, IPv6, and IPv4 of an AF_INET6 socket: before they are closed and after. */
static void test_families(void **state)
{
	BPF_RIG_NEEDS_BPF();
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++)
		expect_caller(*state, (enum tcp_pair_family)family, 0, 0);
}

static void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) || system("ip link set lo up"))
		_exit(1);
}

/* The same addresses in another network namespace are another's: where the kernel tells. */
static void test_namespaces(void **state)
{
	const struct rig *rig = *state;
	pid_t child;

	BPF_RIG_NEEDS_BPF();
	print_message("network namespaces are told apart: %s\n", rig->netns ? "yes" : "no");
	fflush(NULL);
	child = fork();
	if (child == 0) {
		uint64_t outside = own_netns(rig);
		union conn_address to;
		struct tcp_pair pair;

		enter_namespace();
		tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
		tcp_pair_connect(&pair, tcp_pair_port(&pair));
		to = listener_of(&pair, tcp_pair_port(&pair));
		if (caller_of(rig, own_netns(rig), pair.client, &to) != getpid())
			_exit(2);
		if (caller_of(rig, outside, pair.client, &to) != (rig->netns ? 0 : getpid()))
			_exit(3);
		_exit(0);
	}
	bpf_rig_wait(child, 0);
}

/* A rule leads the call elsewhere: the caller is found by what it has called. */
static void test_redirected(void **state)
{
	int status;
	pid_t child;

	BPF_RIG_NEEDS_BPF();
	fflush(NULL);
	child = fork();
	if (child == 0) {
		enter_namespace();
		if (system("nft 'add table inet t; add chain inet t o { type nat hook output "
			   "priority -100; }; add rule inet t o tcp dport 81 redirect to :8081' "
			   "2>&1"))
			_exit(77);
		for (int family = 0; family < TCP_PAIR_FAMILIES; family++)
			expect_caller(*state, (enum tcp_pair_family)family, PROXY_PORT,
				      WANTED_PORT);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	print_message("redirect: %s\n", WEXITSTATUS(status) == 77 ? "not possible here" : "run");
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

/* Another sock_ops program on the same cgroup does not displace it. */
static void test_beside_another(void **state)
{
	struct bpf_object_options options = {.wanted = {[BPF_GROUP_TIMINGS] = true}};
	struct bpf_object_set *set;
	struct bpf_link *link;
	int cgroup;

	BPF_RIG_NEEDS_BPF();
	cgroup = bpf_rig_open_cgroup();
	assert_int_equal(bpf_object_load(&options, &set), 0);
	link = bpf_program__attach_cgroup(bpf_object_skeleton(set)->progs.time_sockets, cgroup);
	assert_non_null(link);
	expect_caller(*state, TCP_PAIR_V4, 0, 0);
	bpf_link__destroy(link);
	bpf_object_free(set);
	close(cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack),	   cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_families),   cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_redirected), cmocka_unit_test(test_beside_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
