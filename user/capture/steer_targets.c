// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer_targets.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/cgroup_unit.h"
#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/cgroup.h"

struct target {
	const char *name; /* not owned */
	bool is_unit;
	char path[PATH_MAX]; /* relative to the mount, where it was last found */
	bool there;
	ino_t cgroup;	 /* of the folder that it is attached to: the cgroup's id */
	bool attached;
	int told;	 /* the last error that the log has told of */
	struct bpf_link *links[STEER_LINKS];
};

struct steer_targets {
	char mount[PATH_MAX];
	struct ksplit_bpf *skel; /* not owned */
	bool udp;
	struct target *list;
	size_t len;
	_Atomic size_t attached;
};

int steer_attach(struct ksplit_bpf *skel, int cgroup, bool udp, struct bpf_link *links[STEER_LINKS])
{
	/* Connects last: whoever is steered has an entry, and is told the truth. */
	struct bpf_program *programs[STEER_LINKS] = {
		skel->progs.steer_tell,	    skel->progs.steer_peername4,
		skel->progs.steer_peername6, skel->progs.steer_connect4,
		skel->progs.steer_connect6,
		udp ? skel->progs.steer_sendmsg4 : NULL,
		udp ? skel->progs.steer_sendmsg6 : NULL};

	memset(links, 0, STEER_LINKS * sizeof(*links));
	for (int i = 0; i < STEER_LINKS; i++) {
		int err;

		if (!programs[i])
			continue;
		links[i] = bpf_program__attach_cgroup(programs[i], cgroup);
		if (links[i])
			continue;
		err = -errno;
		steer_detach(links);
		return err;
	}
	return 0;
}

void steer_detach(struct bpf_link *links[STEER_LINKS])
{
	for (int i = STEER_LINKS - 1; i >= 0; i--) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

static void add_names(struct steer_targets *targets, const struct capture_names *names, bool units)
{
	for (size_t i = 0; i < names->len; i++) {
		struct target *target = &targets->list[targets->len++];

		target->name = names->list[i];
		target->is_unit = units;
	}
}

int steer_targets_new(const struct capture_match *match, struct ksplit_bpf *skel, bool udp,
		      struct steer_targets **out)
{
	struct steer_targets *targets = calloc(1, sizeof(*targets));
	int err;

	*out = NULL;
	if (!targets)
		return -ENOMEM;
	err = cgroup_find_mount(targets->mount);
	if (!err) {
		targets->list = calloc(match->cgroups.len + match->units.len + 1,
				       sizeof(*targets->list));
		err = targets->list ? 0 : -ENOMEM;
	}
	if (err) {
		free(targets);
		return err;
	}
	targets->skel = skel;
	targets->udp = udp;
	add_names(targets, &match->cgroups, false);
	add_names(targets, &match->units, true);
	*out = targets;
	return 0;
}

static void let_go(struct target *target)
{
	steer_detach(target->links);
	target->attached = false;
}

void steer_targets_release(struct steer_targets *targets)
{
	for (size_t i = 0; i < targets->len; i++)
		let_go(&targets->list[i]);
	atomic_store(&targets->attached, 0);
}

void steer_targets_free(struct steer_targets *targets)
{
	if (!targets)
		return;
	steer_targets_release(targets);
	free(targets->list);
	free(targets);
}

static int open_target(const struct steer_targets *targets, const struct target *target)
{
	char full[2 * PATH_MAX];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", targets->mount, target->path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_found(const struct steer_targets *targets, struct target *target)
{
	int fd;

	if (!target->is_unit)
		snprintf(target->path, sizeof(target->path), "%s", target->name);
	else if (!target->path[0] && cgroup_unit_find(targets->mount, target->name, target->path))
		return -ENOENT;
	fd = open_target(targets, target);
	if (fd < 0 && target->is_unit)
		target->path[0] = '\0'; /* looked for anew */
	return fd;
}

/* Is `path` the cgroup `above`, or below it? "" and "/" are the root. */
static bool is_below(const char *path, const char *above)
{
	size_t len;

	path += strspn(path, "/");
	above += strspn(above, "/");
	len = strlen(above);
	while (len && above[len - 1] == '/')
		len--;
	return !len || (strncmp(path, above, len) == 0 && (!path[len] || path[len] == '/'));
}

/* Has it the hook from another one? Of two that are the same the first has it. */
static bool is_covered(const struct steer_targets *targets, const struct target *target)
{
	for (const struct target *other = targets->list; other < targets->list + targets->len;
	     other++) {
		if (other == target || !other->there || !is_below(target->path, other->path))
			continue;
		if (!is_below(other->path, target->path) || other < target)
			return true;
	}
	return false;
}

static void tell(struct target *target, int err)
{
	const char *kind = target->is_unit ? "unit" : "cgroup";

	if (err == target->told)
		return;
	target->told = err;
	if (err == -ENOENT)
		log_info("capture by connect hook: %s %s is not there; its calls are steered "
			 "when it comes", kind, target->name);
	else if (err == -EPERM)
		log_error("capture by connect hook: %s %s: another BPF program is attached there, "
			  "or above, in a way that allows no second one (`bpftool cgroup tree` "
			  "shows it): its calls go direct", kind, target->name);
	else if (err)
		log_error("capture by connect hook: %s %s: the programs cannot be attached: %s: "
			  "its calls go direct", kind, target->name, strerror(-err));
	else
		log_info("capture by connect hook: %s %s is steered", kind, target->name);
}

static void look_at(struct steer_targets *targets, struct target *target, int fd)
{
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;

	if (!err && target->attached && target->cgroup == st.st_ino)
		return;
	let_go(target);
	if (!err)
		err = steer_attach(targets->skel, fd, targets->udp, target->links);
	target->attached = !err;
	target->cgroup = err ? 0 : st.st_ino;
	if (!err)
		target->told = 1; /* each new cgroup is told of */
	tell(target, err);
}

void steer_targets_look(struct steer_targets *targets)
{
	size_t attached = 0;

	for (size_t i = 0; i < targets->len; i++) {
		struct target *target = &targets->list[i];
		int fd = open_found(targets, target);

		target->there = fd >= 0;
		if (fd < 0) {
			let_go(target);
			tell(target, fd);
			continue;
		}
		if (is_covered(targets, target)) {
			let_go(target);
			attached++;
		} else {
			look_at(targets, target, fd);
			attached += target->attached;
		}
		close(fd);
	}
	atomic_store(&targets->attached, attached);
}

size_t steer_targets_attached(const struct steer_targets *targets)
{
	return atomic_load(&targets->attached);
}
