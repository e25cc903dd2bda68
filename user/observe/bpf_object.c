// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/bpf_object.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "ksplit.skel.h"
#include "observe/bpf_group.h"
#include "observe/bpf_instance.h"
#include "observe/bpf_log.h"
#include "observe/bpf_pins.h"
#include "observe/caller_key.h"

#define GROUP_BIT(group) (1U << (group))
#define PIN_PATH_MAX	 (BPF_PINS_PATH_MAX + 64)

struct bpf_object_set {
	struct ksplit_bpf *skel; /* NULL: no group is loaded */
	unsigned int groups;	 /* loaded */
	bool spared;		 /* sk_msg */
	char why[BPF_GROUPS][BPF_WHY_MAX];
	char pins[BPF_PINS_PATH_MAX]; /* the way to it that is open to us; "": nothing is pinned */
	char folder[BPF_PINS_PATH_MAX]; /* the way that people go */
};

static void explain_all(struct bpf_object_set *set, const char *why)
{
	for (int i = 0; i < BPF_GROUPS; i++) {
		if (!set->why[i][0])
			snprintf(set->why[i], BPF_WHY_MAX, "%s", why);
	}
}

/*
 * May this process use BPF at all? 0, -EPERM, -ENOSYS (no CONFIG_BPF_SYSCALL) ... A map of a type
 * that always takes CAP_BPF (or, before 5.8, CAP_SYS_ADMIN). Before 5.11 maps count as locked
 * memory; libbpf raises the limit when it finds such a kernel, here for the first time.
 */
static int try_bpf(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "ksplit_try", 4, 4, 1, NULL);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Since Linux 5.15. Of use if the daemon can ask for its own. */
static bool has_netns_cookies(void)
{
	return caller_key_netns() && libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS,
							     BPF_FUNC_get_netns_cookie, NULL) == 1;
}

/* The groups that are wanted and have a program for this kernel. */
static unsigned int find_possible(struct bpf_object_set *set, const struct bpf_instance_plan *plan)
{
	unsigned int groups = 0;
	struct ksplit_bpf *skel;

	if (bpf_instance_open(plan, 0, &skel)) {
		explain_all(set, "the BPF object cannot be read");
		return 0;
	}
	for (int i = 0; i < BPF_GROUPS; i++) {
		if (!plan->options->wanted[i])
			snprintf(set->why[i], BPF_WHY_MAX, "not wanted");
		else if (bpf_group_possible(skel->obj, (enum bpf_group)i, plan->kernel,
					    set->why[i]))
			groups |= GROUP_BIT(i);
	}
	ksplit_bpf__destroy(skel);
	return groups;
}

/* What of `groups` is to be loaded, when those of `good` can be. */
static unsigned int spare(struct bpf_object_set *set, const struct bpf_instance_plan *plan,
			  unsigned int groups, unsigned int good)
{
	const unsigned int sk_msg = GROUP_BIT(BPF_GROUP_SK_MSG);

	if (set->spared)
		set->why[BPF_GROUP_SK_MSG][0] = '\0';
	set->spared = plan->options->sk_msg_spare && (groups & sk_msg) &&
		      (good & GROUP_BIT(BPF_GROUP_FENTRY));
	if (!set->spared)
		return groups;
	snprintf(set->why[BPF_GROUP_SK_MSG], BPF_WHY_MAX, "not needed beside fentry");
	return groups & ~sk_msg;
}

/* Each group alone in an instance of its own; returns those that the kernel takes. */
static unsigned int find_loadable(struct bpf_object_set *set, const struct bpf_instance_plan *plan,
				  unsigned int groups)
{
	unsigned int good = 0;

	for (int i = 0; i < BPF_GROUPS; i++) {
		struct ksplit_bpf *skel;
		int err;

		if (!(spare(set, plan, groups, good) & GROUP_BIT(i)))
			continue;
		err = bpf_instance_load(plan, GROUP_BIT(i), &skel);
		if (err) {
			bpf_instance_explain(plan, (enum bpf_group)i, err, set->why[i]);
			continue;
		}
		ksplit_bpf__destroy(skel);
		good |= GROUP_BIT(i);
	}
	return good;
}

/* All at once, as most kernels take them; if this one does not, those that it takes. */
static void load_groups(struct bpf_object_set *set, const struct bpf_instance_plan *plan)
{
	const unsigned int possible = find_possible(set, plan);
	unsigned int groups;
	int err;

	if (!possible)
		return;
	groups = spare(set, plan, possible, possible);
	err = bpf_instance_load(plan, groups, &set->skel);
	if (err) {
		groups = find_loadable(set, plan, possible);
		err = groups ? bpf_instance_load(plan, groups, &set->skel) : 0;
	}
	if (err) {
		char why[BPF_WHY_MAX];

		snprintf(why, sizeof(why), "the programs cannot be loaded together: %s",
			 strerror(-err));
		explain_all(set, why);
		return;
	}
	set->groups = groups;
}

/* A map's name in the folder: bpffs allows no dot, "ksplit_b.rodata" becomes "rodata". */
static const char *pin_name(const struct bpf_map *map)
{
	const char *dot = strrchr(bpf_map__name(map), '.');

	return dot ? dot + 1 : bpf_map__name(map);
}

static int pin_maps(const struct bpf_object_set *set)
{
	char path[PIN_PATH_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, set->skel->obj) {
		int err;

		/* Not by its descriptor: libbpf 1.4 and later have one before there is a map. */
		if (!bpf_map__autocreate(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", set->pins, pin_name(map));
		err = bpf_map__pin(map, path);
		if (err)
			return err;
	}
	return 0;
}

/* Pins are for people to look at: without them all else works. */
static void make_pins(struct bpf_object_set *set, int root)
{
	int err = bpf_pins_make(root, set->pins);

	if (!err)
		err = pin_maps(set);
	if (!err) {
		snprintf(set->folder, sizeof(set->folder), "%s/%d", KSPLIT_PIN_ROOT, (int)getpid());
		return;
	}
	bpf_pins_remove(set->pins);
	set->pins[0] = '\0';
	if (err == -ENODEV)
		log_info("BPF maps are not pinned: no bpffs is mounted at /sys/fs/bpf");
	else
		log_warn("BPF maps are not pinned in %s: %s", KSPLIT_PIN_ROOT, strerror(-err));
}

static void tell_groups(const struct bpf_object_set *set, const struct bpf_object_options *options)
{
	for (int i = 0; i < BPF_GROUPS; i++) {
		if (i == BPF_GROUP_SK_MSG && set->spared)
			continue;
		if (options->wanted[i] && !bpf_object_has(set, (enum bpf_group)i))
			log_info("BPF %s: off: %s", bpf_group_name((enum bpf_group)i), set->why[i]);
	}
}

int bpf_object_load(const struct bpf_object_options *options, struct bpf_object_set **out)
{
	struct bpf_instance_plan plan = {.options = options};
	struct bpf_object_set *set = calloc(1, sizeof(*set));
	struct kernel_btf kernel = {0};
	int err;

	if (!set)
		return -ENOMEM;
	bpf_log_setup();
	bpf_pins_remove_stale(options->pin_root);
	err = try_bpf();
	if (err == -EPERM || err == -ENOMEM) {
		free(set);
		return err;
	}
	plan.kernel = &kernel;
	if (err) {
		explain_all(set, "this kernel has no BPF (CONFIG_BPF_SYSCALL)");
	} else if (kernel_btf_read(&kernel)) {
		explain_all(set, "this kernel tells no BTF of itself (CONFIG_DEBUG_INFO_BTF)");
	} else {
		plan.netns_cookies = has_netns_cookies();
		load_groups(set, &plan);
	}
	kernel_btf_free(&kernel);
	if (options->pin && set->skel)
		make_pins(set, options->pin_root);
	tell_groups(set, options);
	*out = set;
	return 0;
}

bool bpf_object_has(const struct bpf_object_set *set, enum bpf_group group)
{
	return set->groups & GROUP_BIT(group);
}

const char *bpf_object_why(const struct bpf_object_set *set, enum bpf_group group)
{
	return set->why[group];
}

bool bpf_object_spared(const struct bpf_object_set *set)
{
	return set->spared;
}

struct ksplit_bpf *bpf_object_skeleton(struct bpf_object_set *set)
{
	return set->skel;
}

int bpf_object_pin_link(struct bpf_object_set *set, struct bpf_link *link, const char *name)
{
	char path[PIN_PATH_MAX];

	if (!set->pins[0])
		return 0;
	snprintf(path, sizeof(path), "%s/%s", set->pins, name);
	return bpf_link__pin(link, path);
}

const char *bpf_object_pins(const struct bpf_object_set *set)
{
	return set->folder;
}

void bpf_object_free(struct bpf_object_set *set)
{
	if (!set)
		return;
	bpf_pins_remove(set->pins);
	ksplit_bpf__destroy(set->skel);
	free(set);
}
