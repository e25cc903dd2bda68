// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/policy_caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/cgroup.h"
#include "observe/sock_diag.h"
#include "observe/socket_owner.h"

struct policy_callers {
	struct sock_diag *diag;
	int cgroup; /* root of cgroup v2; -errno: there is none */
};

static bool wants_processes(const struct policy *policy)
{
	for (size_t i = 0; i < policy->len; i++)
		for (size_t j = 0; j < policy->rules[i].processes_len; j++)
			if (policy->rules[i].processes[j].kind != POLICY_CGROUP)
				return true;
	return false;
}

int policy_callers_new(struct policy_callers **out)
{
	struct policy_callers *callers = calloc(1, sizeof(*callers));
	int err;

	if (!callers)
		return -ENOMEM;
	callers->cgroup = cgroup_open_root();
	err = sock_diag_open(&callers->diag);
	if (err) {
		policy_callers_free(callers);
		return err;
	}
	*out = callers;
	return 0;
}

void policy_callers_free(struct policy_callers *callers)
{
	if (!callers)
		return;
	if (callers->cgroup >= 0)
		close(callers->cgroup);
	sock_diag_close(callers->diag);
	free(callers);
}

static void read_command(uint32_t pid, struct policy_caller *out)
{
	char path[64], line[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(out->command, sizeof(out->command), "%.15s", line);
	}
	fclose(file);
}

static void read_path(uint32_t pid, struct policy_caller *out)
{
	static const char deleted[] = " (deleted)"; /* proc(5): replaced since it was started */
	const size_t tail = sizeof(deleted) - 1;
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	len = readlink(path, out->path, sizeof(out->path) - 1);
	out->path[len > 0 ? len : 0] = '\0';
	if (len > (ssize_t)tail && !strcmp(out->path + len - tail, deleted))
		out->path[(size_t)len - tail] = '\0';
}

/*
 * A new reading of /proc for each call: the observer's is up to a second old, and this socket is
 * younger than that.
 */
static uint32_t find_owner(uint32_t inode)
{
	struct socket_owners *owners;
	uint32_t pid;

	if (socket_owners_new(&owners))
		return 0;
	pid = socket_owners_find(owners, inode);
	socket_owners_free(owners);
	return pid;
}

bool policy_callers_find(struct policy_callers *callers, const struct policy *policy,
			 const union conn_address *client, const union conn_address *called,
			 struct policy_caller *out)
{
	struct sock_diag_info info = {0};
	bool has_cgroup;
	uint32_t pid = 0;

	out->command[0] = out->path[0] = out->cgroup[0] = '\0';
	if (sock_diag_query(callers->diag, client, called, &info) || !info.found)
		return false;
	has_cgroup = callers->cgroup >= 0 && info.cgroup &&
		     !cgroup_path_of_id(callers->cgroup, info.cgroup, out->cgroup,
					sizeof(out->cgroup));
	if (!has_cgroup)
		out->cgroup[0] = '\0';
	if (!has_cgroup || wants_processes(policy))
		pid = find_owner(info.inode);
	if (pid) {
		read_command(pid, out);
		read_path(pid, out);
		if (!has_cgroup && cgroup_path_of_process(pid, out->cgroup, sizeof(out->cgroup)))
			out->cgroup[0] = '\0';
	}
	return has_cgroup || pid;
}
