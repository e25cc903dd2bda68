// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bpf_rig.h"
#include "ksplit.skel.h"
#include "observe/bpf_group.h"
#include "observe/bpf_instance.h"
#include "observe/sampler.h"
#include "process_count.h"

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* Timings and processes work on every kernel since 5.10; the samplers as far as it has them. */
static void test_loads_what_it_can(void **state)
{
	struct bpf_object_options options = bpf_rig_options(false);
	struct bpf_object_set *set;
	struct bpf_program *program;
	unsigned int loaded = 0;
	int fds = count_fds();

	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_string_equal(bpf_object_why(set, BPF_GROUP_TIMINGS), "");
	assert_string_equal(bpf_object_why(set, BPF_GROUP_PROCESSES), "");
	for (int i = 0; i < BPF_GROUPS; i++) {
		enum bpf_group group = (enum bpf_group)i;

		print_message("%s: %s\n", bpf_group_name(group),
			      bpf_object_has(set, group) ? "loaded" : bpf_object_why(set, group));
		assert_int_equal(bpf_object_has(set, group), !*bpf_object_why(set, group));
		loaded |= (unsigned int)bpf_object_has(set, group) << i;
	}
	bpf_object__for_each_program(program, bpf_object_skeleton(set)->obj) {
		unsigned int groups = bpf_groups_of_program(bpf_program__name(program));

		assert_true(groups); /* every program of bpf/ belongs to a group */
		assert_int_equal(bpf_program__fd(program) >= 0,
				 (groups & loaded) && bpf_program__autoload(program));
	}
	assert_string_equal(bpf_object_pins(set), "");
	bpf_object_free(set);
	bpf_object_free(NULL);
	assert_int_equal(count_fds(), fds);
}

static void test_only_wanted(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, false);
	struct bpf_object_set *set;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_true(bpf_object_has(set, BPF_GROUP_PROCESSES));
	assert_false(bpf_object_has(set, BPF_GROUP_TIMINGS));
	assert_string_equal(bpf_object_why(set, BPF_GROUP_TIMINGS), "not wanted");
	assert_true(bpf_map__autocreate(bpf_object_skeleton(set)->maps.processes));
	assert_true(bpf_map__fd(bpf_object_skeleton(set)->maps.processes) >= 0);
	assert_false(bpf_map__autocreate(bpf_object_skeleton(set)->maps.heads));
	assert_false(bpf_map__autocreate(bpf_object_skeleton(set)->maps.endpoints));
	bpf_object_free(set);

	options.wanted[BPF_GROUP_PROCESSES] = false;
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_null(bpf_object_skeleton(set));
	bpf_object_free(set);
}

static uint32_t ring_size(uint32_t wanted)
{
	struct bpf_object_options options = bpf_rig_options(false);
	struct bpf_instance_plan plan = {.options = &options};
	struct ksplit_bpf *skel;
	uint32_t size;

	options.ring_bytes = wanted;
	options.head_bytes = 100;
	assert_int_equal(bpf_instance_open(&plan, 0, &skel), 0);
	size = bpf_map__max_entries(skel->maps.heads);
	assert_int_equal(skel->rodata->wake_bytes, size / 4);
	assert_int_equal(skel->rodata->head_bytes, options.head_bytes);
	ksplit_bpf__destroy(skel);
	return size;
}

static void test_ring_size(void **state)
{
	(void)state;
	assert_int_equal(ring_size(1), sysconf(_SC_PAGESIZE));
	assert_int_equal(ring_size(1 << 20), 1 << 20);
	assert_int_equal(ring_size((1 << 20) + 1), 1 << 21);
}

static void map_sizes(uint32_t connections, uint32_t *pairs, uint32_t *partial)
{
	struct bpf_object_options options = bpf_rig_options(false);
	struct bpf_instance_plan plan = {.options = &options};
	struct ksplit_bpf *skel;

	options.connections = connections;
	assert_int_equal(bpf_instance_open(&plan, 0, &skel), 0);
	*pairs = bpf_map__max_entries(skel->maps.pairs);
	*partial = bpf_map__max_entries(skel->maps.partial);
	ksplit_bpf__destroy(skel);
}

/* Room for every connection that there may be, and never more than the programs ask for. */
static void test_room_for_connections(void **state)
{
	static const uint32_t counts[] = {1, 1024, 10000, 1U << 18, 1U << 19, 1U << 20, ~0U};
	uint32_t most, most_partial, pairs, partial;

	(void)state;
	map_sizes(0, &most, &most_partial);
	assert_int_equal(most, most_partial);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		map_sizes(counts[i], &pairs, &partial);
		assert_true(pairs <= most && partial <= most);
		assert_true(pairs > counts[i] || pairs == most);
		assert_true(partial > 2 * (uint64_t)counts[i] || partial == most);
	}
	map_sizes(10000, &pairs, &partial);
	assert_int_equal(pairs, 20000);
	assert_int_equal(partial, 40000);
}

/* Does a sampler that is to be attached there tell that sk_msg was spared? */
static bool misses_spare(struct bpf_object_set *set, enum ksplit_sampler attach)
{
	const struct sampler_options options = {.mode = SAMPLER_MODE_AUTO, .attach = attach};
	struct sampler *sampler;
	char error[512];
	bool misses;

	(void)sampler_new(&options, set, &sampler, error, sizeof(error));
	assert_non_null(sampler);
	misses = sampler_misses_spare(sampler);
	sampler_free(sampler);
	return misses;
}

/* sk_msg stays out where fentry is in; without the latter it is loaded as ever. */
static void test_spare(void **state)
{
	struct bpf_object_options options = bpf_rig_options(false);
	struct bpf_object_set *set;
	bool fentry;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	options.sk_msg_spare = true;
	options.wanted[BPF_GROUP_STEER] = false;
	assert_int_equal(bpf_object_load(&options, &set), 0);
	fentry = bpf_object_has(set, BPF_GROUP_FENTRY);
	assert_int_equal(bpf_object_spared(set), fentry);
	if (fentry) {
		assert_false(bpf_object_has(set, BPF_GROUP_SK_MSG));
		assert_string_equal(bpf_object_why(set, BPF_GROUP_SK_MSG),
				    "not needed beside fentry");
		assert_false(bpf_map__autocreate(bpf_object_skeleton(set)->maps.sampled));
		assert_false(misses_spare(set, KSPLIT_SAMPLER_FENTRY));
		assert_true(misses_spare(set, KSPLIT_SAMPLER_SK_MSG));
	}
	bpf_object_free(set);

	options.wanted[BPF_GROUP_FENTRY] = false;
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_false(bpf_object_spared(set));
	assert_int_equal(bpf_object_has(set, BPF_GROUP_SK_MSG),
			 !*bpf_object_why(set, BPF_GROUP_SK_MSG));
	assert_null(strstr(bpf_object_why(set, BPF_GROUP_SK_MSG), "not needed"));
	bpf_object_free(set);
}

/* A kernel without the functions that are traced: here, BTF without anything. */
static void test_no_target(void **state)
{
	struct bpf_object_options options = bpf_rig_options(false);
	const struct kernel_btf nothing = {0};
	struct bpf_instance_plan plan = {.options = &options, .kernel = &nothing};
	struct bpf_program *program;
	struct ksplit_bpf *skel;
	char why[BPF_WHY_MAX];

	(void)state;
	assert_int_equal(bpf_instance_open(&plan, ~0U, &skel), 0);
	bpf_object__for_each_program(program, skel->obj)
		assert_int_equal(bpf_program__autoload(program), !bpf_group_target(program));
	assert_false(bpf_group_possible(skel->obj, BPF_GROUP_FENTRY, &nothing, why));
	assert_true(strlen(why) > 10);
	assert_true(bpf_group_possible(skel->obj, BPF_GROUP_TIMINGS, &nothing, why));
	assert_string_equal(why, "");
	ksplit_bpf__destroy(skel);
}

/* Have one command of bpf(2) fail in this process, as kernels do that lack something. */
static void refuse_bpf(unsigned int command, unsigned int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, command, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* In a process of its own: the filter stays. */
static void assert_refused(unsigned int command, unsigned int error, const char *why)
{
	struct bpf_object_options options = bpf_rig_options(true);
	struct bpf_object_set *set;
	pid_t child = fork();

	if (child == 0) {
		refuse_bpf(command, error);
		if (bpf_object_load(&options, &set) || bpf_object_skeleton(set))
			_exit(1);
		if (!strstr(bpf_object_why(set, BPF_GROUP_PROCESSES), why))
			_exit(2);
		if (*bpf_object_pins(set))
			_exit(3);
		bpf_object_free(set);
		_exit(0);
	}
	bpf_rig_wait(child, 0);
}

static void test_refused(void **state)
{
	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_refused(BPF_PROG_LOAD, EACCES,
		       "the kernel refuses the program process_connect4: Permission denied");
	assert_refused(BPF_MAP_CREATE, ENOSYS, "CONFIG_BPF_SYSCALL");
}

/* No privilege is an error of its own. */
static void test_not_permitted(void **state)
{
	struct bpf_object_options options = bpf_rig_options(true);
	struct bpf_object_set *set;
	pid_t child;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	child = fork();
	if (child == 0) {
		if (setuid(65534) < 0)
			_exit(1);
		_exit(bpf_object_load(&options, &set) == -EPERM ? 0 : 2);
	}
	bpf_rig_wait(child, 0);
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

static void test_pins(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, true);
	char folder[128], path[256];
	struct bpf_object_set *set;
	struct bpf_link *link;
	struct stat st;
	int fd, cgroup;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_int_equal(bpf_object_load(&options, &set), 0);
	snprintf(folder, sizeof(folder), "%s/%d", KSPLIT_PIN_ROOT, (int)getpid());
	assert_string_equal(bpf_object_pins(set), folder);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(KSPLIT_PIN_ROOT, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);

	snprintf(path, sizeof(path), "%s/processes", folder);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(map_id(fd),
			 map_id(bpf_map__fd(bpf_object_skeleton(set)->maps.processes)));
	close(fd);

	cgroup = bpf_rig_open_cgroup();
	link = bpf_program__attach_cgroup(bpf_object_skeleton(set)->progs.process_connect4, cgroup);
	assert_non_null(link);
	assert_int_equal(bpf_object_pin_link(set, link, "link_connect4"), 0);
	snprintf(path, sizeof(path), "%s/link_connect4", folder);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	close(fd);
	close(cgroup);
	bpf_link__destroy(link);
	bpf_object_free(set);
	assert_false(exists(KSPLIT_PIN_ROOT));
}

/* Nowhere to pin: all else works. */
static void test_no_bpffs(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, true);
	struct bpf_object_set *set;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	assert_int_equal(mount("none", BPF_RIG_FS, "tmpfs", 0, NULL), 0);
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_true(bpf_object_has(set, BPF_GROUP_PROCESSES));
	assert_string_equal(bpf_object_pins(set), "");
	assert_int_equal(bpf_object_pin_link(set, NULL, "link"), 0);
	assert_false(exists(KSPLIT_PIN_ROOT));
	bpf_object_free(set);
	assert_int_equal(umount(BPF_RIG_FS), 0);
}

/* A process that has its maps pinned and waits to be ended; under another name if there is one. */
static pid_t start_pinned(const char *name)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, true);
	struct bpf_object_set *set;
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (bpf_object_load(&options, &set))
			_exit(1);
		if (name)
			prctl(PR_SET_NAME, name);
		if (write(ready[1], "r", 1) != 1)
			_exit(2);
		pause();
		_exit(3);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static bool pinned(pid_t pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d", KSPLIT_PIN_ROOT, (int)pid);
	return exists(path);
}

static void test_stale_pins(void **state)
{
	struct bpf_object_options options = bpf_rig_only(BPF_GROUP_PROCESSES, true);
	struct bpf_object_set *set;
	pid_t alive, killed, other;

	(void)state;
	BPF_RIG_NEEDS_BPF();
	alive = start_pinned(NULL);
	killed = start_pinned(NULL);
	other = start_pinned("somebody"); /* as if the number of a dead daemon was given again */
	assert_int_equal(kill(killed, SIGKILL), 0);
	bpf_rig_wait(killed, SIGKILL);
	assert_true(pinned(alive) && pinned(killed) && pinned(other));

	options.pin = false;
	assert_int_equal(bpf_object_load(&options, &set), 0);
	assert_true(pinned(alive));
	assert_false(pinned(killed));
	assert_false(pinned(other));
	bpf_object_free(set);

	kill(alive, SIGKILL);
	kill(other, SIGKILL);
	bpf_rig_wait(alive, SIGKILL);
	bpf_rig_wait(other, SIGKILL);
	assert_int_equal(bpf_object_load(&options, &set), 0);
	bpf_object_free(set);
	assert_false(exists(KSPLIT_PIN_ROOT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_what_it_can), cmocka_unit_test(test_only_wanted),
		cmocka_unit_test(test_ring_size),	  cmocka_unit_test(test_no_target),
		cmocka_unit_test(test_refused),		  cmocka_unit_test(test_not_permitted),
		cmocka_unit_test(test_pins),		  cmocka_unit_test(test_no_bpffs),
		cmocka_unit_test(test_stale_pins),	  cmocka_unit_test(test_room_for_connections),
		cmocka_unit_test(test_spare),
	};

	return cmocka_run_group_tests(tests, bpf_rig_setup, NULL);
}
