// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "bpf_rig.h"
#include "observe/process_finder.h"
#include "observe/socket_owner.h"
#include "process_count.h"
#include "tcp_pair.h"

#define NOBODY 65534

struct rig {
	struct bpf_object_set *set;
	struct process_finder *hooked, *scanning;
	char cgroup[PATH_MAX + 64]; /* folder of a cgroup made for the test, "....service" */
	char unit[64];
};

static int setup(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, true);
	struct rig *rig = calloc(1, sizeof(*rig));
	char mount[PATH_MAX];

	assert_non_null(rig);
	*state = rig;
	if (bpf_rig_missing())
		return 0;
	bpf_rig_setup(state);
	bpf_rig_make_cgroup();
	*state = rig;
	assert_int_equal(bpf_object_load(&options, &rig->set), 0);
	assert_int_equal(process_finder_new(rig->set, &rig->hooked), 0);
	assert_int_equal(process_finder_new(NULL, &rig->scanning), 0);
	assert_int_equal(cgroup_find_mount(mount), 0);
	snprintf(rig->unit, sizeof(rig->unit), "ksplit-try-%d.service", (int)getpid());
	snprintf(rig->cgroup, sizeof(rig->cgroup), "%s/%s", mount, rig->unit);
	assert_int_equal(mkdir(rig->cgroup, 0755), 0);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	process_finder_free(rig->hooked);
	process_finder_free(rig->scanning);
	process_finder_free(NULL);
	bpf_object_free(rig->set);
	if (rig->cgroup[0])
		assert_int_equal(rmdir(rig->cgroup), 0);
	free(rig);
	return 0;
}

/* A process that connects and holds the connection until it is ended. */
struct caller {
	const char *name, *cgroup;
	uid_t uid;
	bool reset;	/* resets the connection when it ends: no socket is left */
	bool hand_over; /* its child holds the connection, it is gone itself */
	pid_t pid;	/* out: who has connected */
	pid_t holder;	/* out: who has it open */
};

static void join_cgroup(const char *folder)
{
	char path[PATH_MAX + 128];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(10);
	close(fd);
}

static void reset_at_end(int fd)
{
	const struct linger at_once = {.l_onoff = 1};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)))
		_exit(15);
}

static void call(const struct caller *caller, const struct tcp_pair *pair, int holder)
{
	int fd = socket(pair->address.ss_family, SOCK_STREAM, 0);
	pid_t pid = getpid();

	if (connect(fd, (const struct sockaddr *)&pair->address, pair->address_len))
		_exit(11);
	if (caller->reset)
		reset_at_end(fd);
	if (caller->hand_over) {
		pid = fork();
		if (pid > 0)
			_exit(0);
		prctl(PR_SET_NAME, "holder");
		pid = getpid();
	}
	if (write(holder, &pid, sizeof(pid)) != sizeof(pid))
		_exit(12);
	pause();
	_exit(13);
}

static void start_caller(struct caller *caller, struct tcp_pair *pair)
{
	int holder[2];

	assert_int_equal(pipe(holder), 0);
	caller->pid = fork();
	if (caller->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a test that failed */
		close(pair->listener);
		if (caller->cgroup)
			join_cgroup(caller->cgroup);
		if (caller->uid && setuid(caller->uid))
			_exit(14);
		prctl(PR_SET_NAME, caller->name);
		call(caller, pair, holder[1]);
	}
	close(holder[1]);
	assert_int_equal(read(holder[0], &caller->holder, sizeof(pid_t)), sizeof(pid_t));
	close(holder[0]);
	pair->server = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair->server >= 0);
	if (caller->hand_over)
		bpf_rig_wait(caller->pid, 0);
}

static void end_caller(struct caller *caller, struct tcp_pair *pair)
{
	kill(caller->holder, SIGKILL);
	if (!caller->hand_over)
		bpf_rig_wait(caller->pid, SIGKILL);
	close(pair->server);
	close(pair->listener);
}

/* The addresses of a connection, as its caller has them. */
struct ends {
	union conn_address caller, called;
};

static struct ends ends_of(const struct tcp_pair *pair)
{
	struct ends ends = {0};
	socklen_t len = sizeof(ends.caller);

	assert_int_equal(getpeername(pair->server, &ends.caller.sa, &len), 0);
	len = sizeof(ends.called);
	assert_int_equal(getsockname(pair->server, &ends.called.sa, &len), 0);
	return ends;
}

static struct observe_process find_between(struct process_finder *finder, const struct ends *ends)
{
	struct observe_process process;

	memset(&process, 0xff, sizeof(process));
	process_finder_find(finder, &ends->caller, &ends->called, &process);
	return process;
}

/* As the daemon asks: by the addresses of what it has accepted. */
static struct observe_process find(struct process_finder *finder, const struct tcp_pair *pair)
{
	struct ends ends = ends_of(pair);

	return find_between(finder, &ends);
}

/* A scan answers for a second: have the next one scan again. */
static void forget_scan(void)
{
	poll(NULL, 0, SOCKET_OWNER_FRESH_MS + 1);
}

static void assert_caller(const struct observe_process *found, const struct caller *expected,
			  const char *unit)
{
	assert_int_equal(found->pid, expected->pid);
	assert_int_equal(found->uid, expected->uid);
	assert_string_equal(found->command, expected->name);
	assert_string_equal(found->unit, unit);
}

static void test_found(void **state)
{
	struct rig *rig = *state;

	BPF_RIG_NEEDS_BPF();
	assert_string_equal(process_finder_why(rig->hooked), "");
	assert_string_equal(process_finder_why(rig->scanning), "not wanted");
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		struct caller caller = {.name = "ksplit caller", .cgroup = rig->cgroup};
		struct observe_process found;
		struct tcp_pair pair;

		caller.uid = family == TCP_PAIR_V6 ? NOBODY : 0;
		tcp_pair_listen(&pair, (enum tcp_pair_family)family, 0);
		start_caller(&caller, &pair);
		found = find(rig->hooked, &pair);
		assert_caller(&found, &caller, rig->unit);
		forget_scan();
		found = find(rig->scanning, &pair);
		assert_caller(&found, &caller, rig->unit);
		end_caller(&caller, &pair);
	}
}

/* Connection and caller are gone by the time that somebody asks. */
static void test_gone(void **state)
{
	const struct observe_process nobody = {0};
	struct rig *rig = *state;

	BPF_RIG_NEEDS_BPF();
	for (int family = 0; family < TCP_PAIR_FAMILIES; family++) {
		struct caller caller = {
			.name = "short", .cgroup = rig->cgroup, .uid = NOBODY, .reset = true};
		struct observe_process found;
		struct tcp_pair pair;
		struct ends ends;

		tcp_pair_listen(&pair, (enum tcp_pair_family)family, 0);
		start_caller(&caller, &pair);
		ends = ends_of(&pair);
		end_caller(&caller, &pair);
		found = find_between(rig->hooked, &ends);
		assert_caller(&found, &caller, rig->unit);
		found = find_between(rig->scanning, &ends);
		assert_memory_equal(&found, &nobody, sizeof(found));
	}
}

/* The hook knows who connected, though others hold the connection now. */
static void test_handed_over(void **state)
{
	struct rig *rig = *state;
	struct caller caller = {.name = "first", .cgroup = rig->cgroup, .hand_over = true};
	struct observe_process found;
	struct tcp_pair pair;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	start_caller(&caller, &pair);
	found = find(rig->hooked, &pair);
	assert_caller(&found, &caller, rig->unit);
	forget_scan();
	found = find(rig->scanning, &pair);
	assert_int_equal(found.pid, caller.holder);
	assert_string_equal(found.command, "holder");
	end_caller(&caller, &pair);
	/* Its folder can be removed once it is gone; it is not our child. */
	for (int i = 0; i < 1000 && kill(caller.holder, 0) == 0; i++)
		poll(NULL, 0, 10);
}

/* Connected before there was a hook: found among those that are open. */
static void test_before_the_hook(void **state)
{
	struct caller caller = {.name = "early"};
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, false);
	struct process_finder *finder;
	struct bpf_object_set *set;
	struct observe_process found;
	struct tcp_pair pair;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	start_caller(&caller, &pair);
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_int_equal(process_finder_new(set, &finder), 0);
	assert_string_equal(process_finder_why(finder), "");
	found = find(finder, &pair);
	assert_int_equal(found.pid, caller.pid);
	assert_string_equal(found.command, "early");
	end_caller(&caller, &pair);
	process_finder_free(finder);
	bpf_object_free(set);
}

static void test_hostile_name(void **state)
{
	struct rig *rig = *state;
	struct caller caller = {.name = "a\033[2J\nb"};
	struct observe_process found;
	struct tcp_pair pair;

	BPF_RIG_NEEDS_BPF();
	tcp_pair_listen(&pair, TCP_PAIR_V4, 0);
	start_caller(&caller, &pair);
	found = find(rig->hooked, &pair);
	assert_string_equal(found.command, "a?[2J?b");
	end_caller(&caller, &pair);
}

static void test_not_found(void **state)
{
	struct rig *rig = *state;
	union conn_address here = {.in = {.sin_family = AF_INET, .sin_port = htons(1)}};
	union conn_address there = here, unknown = {0};
	struct observe_process found, nobody = {0};
	struct process_finder *finders[] = {rig->hooked, rig->scanning};

	BPF_RIG_NEEDS_BPF();
	here.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	there.in.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
	for (size_t i = 0; i < 2; i++) {
		memset(&found, 0xff, sizeof(found));
		process_finder_find(finders[i], &here, &there, &found);
		assert_memory_equal(&found, &nobody, sizeof(found));
		memset(&found, 0xff, sizeof(found));
		process_finder_find(finders[i], &unknown, &unknown, &found);
		assert_memory_equal(&found, &nobody, sizeof(found));
	}
}

static int pinned_links(const struct rig *rig)
{
	static const char *const names[] = {"link_connect4", "link_connect6", "link_connect"};
	char path[256];
	int count = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", bpf_object_pins(rig->set), names[i]);
		count += access(path, F_OK) == 0;
	}
	return count;
}

static void test_pinned_links(void **state)
{
	struct rig *rig = *state;

	BPF_RIG_NEEDS_BPF();
	assert_int_equal(pinned_links(rig), 3);
	process_finder_free(rig->hooked);
	assert_int_equal(pinned_links(rig), 0);
	assert_int_equal(process_finder_new(rig->set, &rig->hooked), 0);
	assert_int_equal(pinned_links(rig), 3);
}

static uint32_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint32_t)st.st_ino;
}

/* One scan answers for all within a second, misses too. */
static void test_scans(void **state)
{
	struct socket_owners *owners;
	int fds = count_fds(), one, other;

	(void)state;
	one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(socket_owners_new(&owners), 0);
	assert_int_equal(socket_owners_find(owners, 0), 0);
	assert_int_equal(socket_owners_scans(owners), 0);
	assert_int_equal(socket_owners_find(owners, inode_of(one)), getpid());
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(socket_owners_scans(owners), 1);
	forget_scan();
	assert_int_equal(socket_owners_find(owners, inode_of(other)), getpid());
	assert_int_equal(socket_owners_scans(owners), 2);
	close(one);
	close(other);
	socket_owners_free(owners);
	socket_owners_free(NULL);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),	      cmocka_unit_test(test_gone),
		cmocka_unit_test(test_handed_over),   cmocka_unit_test(test_before_the_hook),
		cmocka_unit_test(test_hostile_name),  cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_pinned_links),  cmocka_unit_test(test_scans),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
