// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/process_finder.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/caller_key.h"
#include "observe/cgroup.h"
#include "observe/sock_diag.h"
#include "observe/socket_owner.h"

#define HOOKS 3 /* connect4, connect6, sock_ops */

struct process_finder {
	struct sock_diag *diag;
	struct socket_owners *owners;
	int cgroup;    /* root of cgroup v2; -errno: there is none */
	int processes; /* maps, the set's; -1: no hook */
	int callers;
	uint64_t netns; /* ours, as the keys of callers have it */
	struct bpf_link *links[HOOKS];
	char why[BPF_WHY_MAX];
};

static void detach(struct process_finder *finder)
{
	for (int i = 0; i < HOOKS; i++) {
		struct bpf_link *link = finder->links[i];

		/* What is pinned would stay attached. */
		if (link && bpf_link__pin_path(link))
			bpf_link__unpin(link);
		bpf_link__destroy(link);
		finder->links[i] = NULL;
	}
}

static int attach(struct process_finder *finder, struct bpf_object_set *set)
{
	static const char *const names[HOOKS] = {"link_connect4", "link_connect6", "link_connect"};
	struct ksplit_bpf *skel = bpf_object_skeleton(set);
	const struct bpf_program *programs[HOOKS] = {skel->progs.process_connect4,
						     skel->progs.process_connect6,
						     skel->progs.process_connect};

	for (int i = 0; i < HOOKS; i++) {
		int err;

		finder->links[i] = bpf_program__attach_cgroup(programs[i], finder->cgroup);
		if (!finder->links[i])
			return -errno;
		err = bpf_object_pin_link(set, finder->links[i], names[i]);
		if (err)
			log_warn("BPF processes: a link is not pinned: %s", strerror(-err));
	}
	finder->processes = bpf_map__fd(skel->maps.processes);
	finder->callers = bpf_map__fd(skel->maps.callers);
	finder->netns = skel->rodata->netns_cookies ? caller_key_netns() : 0;
	return 0;
}

static void try_hook(struct process_finder *finder, struct bpf_object_set *set)
{
	int err;

	if (!set) {
		snprintf(finder->why, sizeof(finder->why), "not wanted");
	} else if (!bpf_object_has(set, BPF_GROUP_PROCESSES)) {
		snprintf(finder->why, sizeof(finder->why), "%s",
			 bpf_object_why(set, BPF_GROUP_PROCESSES));
	} else if (finder->cgroup < 0) {
		snprintf(finder->why, sizeof(finder->why), "cgroup v2 cannot be opened: %s",
			 strerror(-finder->cgroup));
	} else {
		err = attach(finder, set);
		if (!err)
			return;
		detach(finder);
		snprintf(finder->why, sizeof(finder->why),
			 "the connect hooks cannot be attached to cgroup v2: %s", strerror(-err));
	}
	if (set)
		log_info("BPF processes: without the connect hook: %s", finder->why);
}

int process_finder_new(struct bpf_object_set *set, struct process_finder **out)
{
	struct process_finder *finder = calloc(1, sizeof(*finder));
	int err;

	if (!finder)
		return -ENOMEM;
	finder->processes = finder->callers = -1;
	finder->cgroup = cgroup_open_root();
	err = sock_diag_open(&finder->diag);
	if (!err)
		err = socket_owners_new(&finder->owners);
	if (err) {
		process_finder_free(finder);
		return err;
	}
	try_hook(finder, set);
	*out = finder;
	return 0;
}

void process_finder_free(struct process_finder *finder)
{
	if (!finder)
		return;
	detach(finder);
	if (finder->cgroup >= 0)
		close(finder->cgroup);
	socket_owners_free(finder->owners);
	sock_diag_close(finder->diag);
	free(finder);
}

const char *process_finder_why(const struct process_finder *finder)
{
	return finder->why;
}

/* Names are what the process likes: nothing that could move a terminal's cursor. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static void set_command(struct observe_process *out, const char *command, size_t len)
{
	len = strnlen(command, len);
	if (len >= sizeof(out->command))
		len = sizeof(out->command) - 1;
	memcpy(out->command, command, len);
	out->command[len] = '\0';
	make_printable(out->command);
}

static void read_command(struct observe_process *out)
{
	char path[64], command[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/comm", out->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(command, sizeof(command), file))
		set_command(out, command, strcspn(command, "\n"));
	fclose(file);
}

/* The unit by the cgroup's id, or as long as the process lives by what /proc says of it. */
static void find_unit(const struct process_finder *finder, uint64_t cgroup,
		      struct observe_process *out)
{
	char path[PATH_MAX];
	int err = -ENOENT;

	if (cgroup && finder->cgroup >= 0)
		err = cgroup_path_of_id(finder->cgroup, cgroup, path, sizeof(path));
	/*
	 * A process whose cgroup is gone is gone too, its number may be another's. 0: the kernel's.
	 */
	if (err && err != -ESTALE && out->pid)
		err = cgroup_path_of_process(out->pid, path, sizeof(path));
	if (err)
		return;
	cgroup_print_unit(path, out->unit, sizeof(out->unit));
	make_printable(out->unit);
}

static void take_process(const struct process_finder *finder, const struct ksplit_process *process,
			 struct observe_process *out)
{
	out->pid = process->pid;
	out->uid = process->uid;
	set_command(out, process->command, sizeof(process->command));
	find_unit(finder, process->cgroup, out);
}

/* What the hook has remembered of this connection, which may be closed since. */
static bool find_caller(const struct process_finder *finder, const union conn_address *source,
			const union conn_address *destination, struct observe_process *out)
{
	struct ksplit_process process;
	struct ksplit_caller_key key;

	if (finder->callers < 0 || !caller_key_pack(finder->netns, source, destination, &key) ||
	    bpf_map_lookup_elem(finder->callers, &key, &process))
		return false;
	take_process(finder, &process, out);
	return true;
}

/* What the hook has remembered of this socket. */
static bool find_remembered(const struct process_finder *finder, const struct sock_diag_info *info,
			    struct observe_process *out)
{
	struct ksplit_process process;

	if (finder->processes < 0 ||
	    bpf_map_lookup_elem(finder->processes, &info->cookie, &process))
		return false;
	take_process(finder, &process, out);
	return true;
}

/* Who has it open. */
static void find_owner(const struct process_finder *finder, const struct sock_diag_info *info,
		       struct observe_process *out)
{
	out->pid = socket_owners_find(finder->owners, info->inode);
	if (!out->pid)
		return;
	out->uid = info->uid;
	read_command(out);
	find_unit(finder, info->cgroup, out);
}

void process_finder_find(struct process_finder *finder, const union conn_address *local_of_caller,
			 const union conn_address *remote_of_caller, struct observe_process *out)
{
	struct sock_diag_info info;

	memset(out, 0, sizeof(*out));
	if (find_caller(finder, local_of_caller, remote_of_caller, out))
		return;
	if (sock_diag_query(finder->diag, local_of_caller, remote_of_caller, &info) || !info.found)
		return;
	if (!find_remembered(finder, &info, out))
		find_owner(finder, &info, out);
}
