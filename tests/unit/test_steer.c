// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "bpf_rig.h"
#include "process_count.h"
#include "steer_rig.h"

/* Found by pause and look, since cgroups are looked for by a thread. */
#define WAIT_UNTIL(condition_)                                                                     \
	do {                                                                                       \
		const struct timespec nap = {.tv_nsec = 20000000};                                 \
		int naps = RIG_WAIT_MS / 20;                                                       \
		while (!(condition_) && naps--)                                                    \
			nanosleep(&nap, NULL);                                                     \
		assert_true(condition_);                                                           \
	} while (0)

static struct capture_status state_of(struct steer *steer)
{
	struct steer_status status;

	steer_read(steer, &status);
	return status.state;
}

static size_t attached(struct steer *steer)
{
	struct steer_status status;

	steer_read(steer, &status);
	return status.attached;
}

static struct steer *start(struct steer_rig *rig)
{
	struct steer *steer;

	assert_int_equal(steer_new(&rig->options, &steer), 0);
	assert_string_equal(state_of(steer).why, "");
	assert_int_equal(state_of(steer).state, CAPTURE_ON);
	return steer;
}

static uint64_t counted(struct steer *steer, enum ksplit_steer_count what)
{
	uint64_t counts[KSPLIT_STEER_COUNTS];

	assert_int_equal(steer_read_counts(steer, counts), 0);
	return counts[what];
}

/* Arrives at the proxy, which can tell where it was meant to go; the caller is told that, too. */
static void assert_steered(struct steer_rig *rig, struct steer *steer, int family,
			   const union capture_address *to, const union capture_address *meant,
			   int proxy)
{
	struct steer_seen seen =
		steer_rig_call(rig, (struct steer_caller){.cgroup = "", .family = family}, to);
	union capture_address client, local, original = {0};
	socklen_t len = 0, meant_len = meant->sa.sa_family == AF_INET ? sizeof(meant->in)
								       : sizeof(meant->in6);

	assert_int_equal(seen.error, 0);
	assert_memory_equal(&seen.peer, to,
			    to->sa.sa_family == AF_INET ? sizeof(to->in) : sizeof(to->in6));
	assert_true(steer_rig_came(proxy, &client, &local));
	assert_int_equal(steer_find(steer, &client.sa, &local.sa, &original.sa, &len), 0);
	assert_int_equal(len, meant_len);
	assert_memory_equal(&original, meant, len);
	assert_int_equal(steer_find(steer, &client.sa, &local.sa, &original.sa, &len), -ENOENT);
}

static void test_steers(void **state)
{
	union capture_address mapped = {.in6 = {.sin6_family = AF_INET6}};
	struct steer_status status;
	struct steer_rig rig;
	struct steer *steer;
	int fds = count_fds();

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	steer = start(&rig);
	assert_steered(&rig, steer, 0, &rig.origin, &rig.origin, rig.proxy_fd);
	assert_steered(&rig, steer, 0, &rig.origin6, &rig.origin6, rig.proxy6_fd);
	mapped.in6.sin6_port = rig.origin.in.sin_port;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.in6.sin6_addr), 1);
	assert_steered(&rig, steer, AF_INET6, &mapped, &rig.origin, rig.proxy_fd);
	steer_read(steer, &status);
	assert_int_equal(status.wanted, 1);
	assert_int_equal(status.attached, 1);
	assert_true(counted(steer, KSPLIT_STEER_STEERED) >= 3);

	/* Only those, and not this process itself, as if it were the daemon. */
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){0}), "direct");
	steer_stop(steer);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	steer_free(steer);
	steer_free(NULL);
	steer_rig_close(&rig);
	assert_int_equal(count_fds(), fds);
}

/* Move this process, which the hook knows as the daemon, and back. */
static void enter(const struct steer_rig *rig, const char *name)
{
	char path[2 * PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", rig->mount, name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
}

static void test_own_calls(void **state)
{
	union capture_address client, local;
	char before[PATH_MAX];
	struct steer_rig rig;
	struct steer *steer;
	int fd;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	assert_int_equal(cgroup_path_of_process(0, before, sizeof(before)), 0);
	steer = start(&rig);
	enter(&rig, rig.name);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &rig.origin.sa, sizeof(rig.origin.in)), 0);
	assert_false(steer_rig_came(rig.proxy_fd, &client, &local));
	assert_true(steer_rig_came(rig.origin_fd, &client, &local));
	assert_int_equal(counted(steer, KSPLIT_STEER_OWN), 1);
	close(fd);
	enter(&rig, before);
	steer_free(steer);
	steer_rig_close(&rig);
}

static void test_left_alone(void **state)
{
	struct capture_network loopback = {.family = AF_INET, .prefix = 8};
	uid_t user = 65534;
	char exempt[80], *exempts[1] = {exempt};
	uint16_t others[1] = {1};
	struct steer_rig rig;
	struct steer *steer;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	steer_rig_make(&rig, "/in");
	steer_rig_make(&rig, "/in/deep");
	snprintf(exempt, sizeof(exempt), "%s/in", rig.name);
	rig.part.exempt.users = (struct capture_users){.list = &user, .len = 1};
	rig.part.exempt.cgroups = (struct capture_names){.list = exempts, .len = 1};
	rig.options.mark = 0x6b73;
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "steered");
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = "", .user = user}),
			    "direct");
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = "/in"}), "direct");
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = "/in/deep"}),
			    "direct");
	assert_int_equal(counted(steer, KSPLIT_STEER_IS_EXEMPT), 3);
	assert_string_equal(
		steer_rig_try(&rig, (struct steer_caller){.cgroup = "", .mark = 0x6b73}), "direct");
	assert_int_equal(counted(steer, KSPLIT_STEER_OWN), 1);
	assert_string_equal(
		steer_rig_try(&rig, (struct steer_caller){.cgroup = "", .device = "lo"}),
		"steered");
	/* Loopback is down there. */
	assert_string_equal(
		steer_rig_try(&rig, (struct steer_caller){.cgroup = "", .own_netns = true}),
		"ENETUNREACH");
	assert_int_equal(counted(steer, KSPLIT_STEER_OTHER_NETNS), 1);
	steer_free(steer);

	loopback.address.in.s_addr = htonl(0x7f000000);
	rig.part.exempt.networks = (struct capture_networks){.list = &loopback, .len = 1};
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	assert_int_equal(counted(steer, KSPLIT_STEER_IS_EXEMPT), 1);
	steer_free(steer);

	rig.part.exempt.networks.len = 0;
	rig.part.exempt.ports = rig.part.match.ports;
	rig.part.match.ports.len = 0;
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	assert_int_equal(counted(steer, KSPLIT_STEER_IS_EXEMPT), 1);
	steer_free(steer);

	rig.part.exempt.ports.len = 0;
	rig.part.match.ports = (struct capture_ports){.list = others, .len = 1};
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	assert_int_equal(counted(steer, KSPLIT_STEER_OTHER), 1);
	steer_free(steer);

	rig.part.match.ports.len = 0; /* all of them */
	loopback.address.in.s_addr = htonl(0x0a000000);
	rig.part.match.networks = (struct capture_networks){.list = &loopback, .len = 1};
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	loopback.address.in.s_addr = htonl(0x7f000000);
	steer_free(steer);
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "steered");
	steer_free(steer);
	steer_rig_remove(&rig, "/in/deep");
	steer_rig_remove(&rig, "/in");
	steer_rig_close(&rig);
}

static bool works(void *ctx)
{
	return atomic_load((atomic_bool *)ctx);
}

/* On, as long as the daemon is said to be fine. */
static struct steer *start_watched(struct steer_rig *rig, atomic_bool *fine)
{
	steer_rig_open(rig);
	rig->options.watchdog = 1000;
	rig->options.works = works;
	rig->options.ctx = fine;
	return start(rig);
}

/* A daemon that hangs or does not listen is not called. */
static void test_daemon_in_trouble(void **state)
{
	union capture_address client, local;
	atomic_bool fine = true;
	struct steer_rig rig;
	struct steer *steer;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer = start_watched(&rig, &fine);
	atomic_store(&fine, false);
	WAIT_UNTIL(strcmp(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct") == 0);
	assert_true(counted(steer, KSPLIT_STEER_STALLED) > 0);
	WAIT_UNTIL(state_of(steer).state == CAPTURE_WITHDRAWN);
	assert_string_equal(state_of(steer).by, "watchdog");
	assert_non_null(strstr(state_of(steer).why, "1000 ms"));
	assert_true(state_of(steer).withdrawn[CAPTURE_BY_WATCHDOG] >= 1);
	atomic_store(&fine, true);
	WAIT_UNTIL(strcmp(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "steered") ==
		   0);
	WAIT_UNTIL(state_of(steer).state == CAPTURE_ON);
	assert_string_equal(state_of(steer).by, "watchdog");
	assert_true(state_of(steer).loaded >= 2);
	steer_free(steer);

	rig.options.works = NULL;
	rig.options.watchdog = 60000;
	steer = start(&rig);
	while (steer_rig_came(rig.proxy_fd, &client, &local))
		;
	close(rig.proxy_fd);
	assert_int_equal(
		steer_rig_call(&rig, (struct steer_caller){.cgroup = ""}, &rig.origin).error, 0);
	assert_true(steer_rig_came(rig.origin_fd, &client, &local));
	assert_int_equal(counted(steer, KSPLIT_STEER_NO_LISTENER), 1);
	steer_free(steer);
	rig.proxy_fd = steer_rig_listen("127.0.0.2", &rig.proxy);

	/* None in that family. */
	rig.options.listener = (union capture_address){0};
	steer = start(&rig);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	assert_steered(&rig, steer, 0, &rig.origin6, &rig.origin6, rig.proxy6_fd);
	steer_free(steer);
	steer_rig_close(&rig);
}

static enum capture_state switched(struct steer *steer, bool on)
{
	steer_switch(steer, on, "a test");
	steer_await(steer, RIG_WAIT_MS);
	return state_of(steer).state;
}

/* Off: nothing hangs on the cgroup, nobody is steered or refused; on: as before, lists and all. */
static void test_switched(void **state)
{
	struct steer_caller exempt = {.cgroup = "", .user = 65534};
	struct steer_rig rig;
	struct steer *steer;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	rig.part.exempt.users = (struct capture_users){.list = &exempt.user, .len = 1};
	steer = start(&rig);
	for (unsigned int i = 1; i <= 2; i++) {
		assert_int_equal(switched(steer, false), CAPTURE_OFF);
		assert_int_equal(attached(steer), 0);
		assert_string_equal(state_of(steer).by, "a test");
		assert_int_equal(state_of(steer).withdrawn[CAPTURE_BY_COMMAND], i);
		assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}),
				    "direct");
		assert_int_equal(switched(steer, false), CAPTURE_OFF);
		assert_int_equal(switched(steer, true), CAPTURE_ON);
		assert_int_equal(attached(steer), 1);
		assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}),
				    "steered");
		assert_string_equal(steer_rig_try(&rig, exempt), "direct");
		assert_int_equal(switched(steer, true), CAPTURE_ON);
		assert_int_equal(state_of(steer).loaded, 1 + i);
		assert_int_equal(state_of(steer).withdrawn[CAPTURE_BY_COMMAND], i);
	}
	steer_stop(steer);
	assert_int_equal(switched(steer, true), CAPTURE_OFF); /* too late */
	assert_string_equal(state_of(steer).by, "end");
	assert_int_equal(state_of(steer).withdrawn[CAPTURE_BY_END], 1);
	steer_free(steer);
	steer_rig_close(&rig);
}

/* What cannot be tried is not switched on, until it can. */
static void test_switched_on_when_it_works(void **state)
{
	struct rlimit before, none;
	atomic_bool fine = true;
	struct steer_rig rig;
	struct steer *steer;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer = start_watched(&rig, &fine);
	assert_int_equal(switched(steer, false), CAPTURE_OFF);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(switched(steer, true), CAPTURE_FAILED);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(*state_of(steer).why);
	assert_int_equal(state_of(steer).self_test_failed, 1);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");

	/* Nobody is led to a daemon that hangs while it is switched on. */
	atomic_store(&fine, false);
	steer_switch(steer, true, "a test");
	WAIT_UNTIL(state_of(steer).state == CAPTURE_WITHDRAWN);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	assert_int_equal(switched(steer, true), CAPTURE_WITHDRAWN);
	atomic_store(&fine, true);
	WAIT_UNTIL(state_of(steer).state == CAPTURE_ON);
	WAIT_UNTIL(strcmp(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "steered") ==
		   0);
	steer_free(steer);
	steer_rig_close(&rig);
}

/*
 * A service that is started again has another cgroup of the same name; two chosen, one in the
 * other.
 */
static void test_cgroups_come_and_go(void **state)
{
	struct steer_caller inner = {.cgroup = "/app"}, outer = {.cgroup = ""};
	struct steer_status status;
	struct steer_rig rig;
	struct steer *steer;
	char app[80];

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	snprintf(app, sizeof(app), "%s/app", rig.name);
	rig.cgroups[0] = app;
	steer = start(&rig);
	steer_read(steer, &status);
	assert_int_equal(status.wanted, 1);
	assert_int_equal(status.attached, 0);
	for (int i = 0; i < 2; i++) {
		steer_rig_make(&rig, "/app");
		WAIT_UNTIL(strcmp(steer_rig_try(&rig, inner), "steered") == 0);
		assert_string_equal(steer_rig_try(&rig, outer), "direct");
		steer_rig_remove(&rig, "/app");
	}
	steer_free(steer);

	steer_rig_make(&rig, "/app");
	rig.cgroups[1] = rig.name;
	rig.part.match.cgroups.len = 2;
	steer = start(&rig);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(steer_rig_try(&rig, inner), "steered");
		assert_string_equal(steer_rig_try(&rig, outer), "steered");
		WAIT_UNTIL(attached(steer) == 2);
	}
	steer_free(steer);
	steer_rig_remove(&rig, "/app");
	steer_rig_close(&rig);
}

static int refused(const struct steer_rig *rig, uint16_t port, bool udp)
{
	union capture_address to = rig->origin;

	to.in.sin_port = htons(port);
	return steer_rig_call(rig, (struct steer_caller){.cgroup = "", .udp = udp}, &to).error;
}

static void test_quic(void **state)
{
	uint16_t ports[1] = {443};
	struct steer_rig rig;
	struct steer *steer;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	rig.part.match.ports = (struct capture_ports){.list = ports, .len = 1};
	steer = start(&rig);
	assert_int_equal(refused(&rig, 443, true), 0);
	steer_free(steer);
	rig.options.refuse_quic = true;
	steer = start(&rig);
	assert_int_equal(refused(&rig, 443, true), EPERM);
	assert_int_equal(refused(&rig, 53, true), 0);
	assert_int_equal(refused(&rig, 443, false), 0); /* steered */
	assert_int_equal(counted(steer, KSPLIT_STEER_QUIC_REFUSED), 1);
	rig.options.refuse_quic = false;
	steer_free(steer);
	steer_rig_close(&rig);
}

/* Links die with the process that holds them. */
static void test_killed(void **state)
{
	struct steer_rig rig;
	struct steer *steer;
	int ready[2];
	char byte;
	pid_t child;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (steer_new(&rig.options, &steer) || state_of(steer).state != CAPTURE_ON ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "steered");
	assert_int_equal(kill(child, SIGKILL), 0);
	bpf_rig_wait(child, SIGKILL);
	assert_string_equal(steer_rig_try(&rig, (struct steer_caller){.cgroup = ""}), "direct");
	steer_rig_close(&rig);
}

/* Without privilege the hook is off, with a reason; nothing else is wrong. */
static void test_not_permitted(void **state)
{
	struct steer_rig rig;
	struct steer *steer;
	pid_t child;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	steer_rig_open(&rig);
	child = fork();
	if (child == 0) {
		if (setuid(65534) || steer_new(&rig.options, &steer))
			_exit(1);
		if (!strstr(state_of(steer).why, "CAP_BPF"))
			_exit(2);
		/* Off as it is when asked for; on, it is as broken as before. */
		steer_switch(steer, false, "a test");
		steer_await(steer, RIG_WAIT_MS);
		if (state_of(steer).state != CAPTURE_OFF)
			_exit(3);
		steer_switch(steer, true, "a test");
		steer_await(steer, RIG_WAIT_MS);
		if (state_of(steer).state != CAPTURE_FAILED)
			_exit(4);
		_exit(strstr(state_of(steer).why, "CAP_BPF") ? 0 : 5);
	}
	bpf_rig_wait(child, 0);
	steer_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steers),
		cmocka_unit_test(test_own_calls),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_daemon_in_trouble),
		cmocka_unit_test(test_switched),
		cmocka_unit_test(test_switched_on_when_it_works),
		cmocka_unit_test(test_cgroups_come_and_go),
		cmocka_unit_test(test_quic),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_not_permitted),
	};

	return cmocka_run_group_tests(tests, bpf_rig_setup, NULL);
}
