// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/bpf_group.h"

#include <stdio.h>
#include <string.h>

#define GROUP_BIT(group) (1U << (group))
#define HEAD_GROUPS	 (GROUP_BIT(BPF_GROUP_FENTRY) | GROUP_BIT(BPF_GROUP_SK_MSG))

static const struct group_program {
	const char *name;
	unsigned int groups;
	bool stand_in;
} programs[] = {
	{"time_sockets", GROUP_BIT(BPF_GROUP_TIMINGS), false},
	{"process_connect4", GROUP_BIT(BPF_GROUP_PROCESSES), false},
	{"process_connect6", GROUP_BIT(BPF_GROUP_PROCESSES), false},
	{"process_connect", GROUP_BIT(BPF_GROUP_PROCESSES), false},
	{"head_inet_sendmsg", GROUP_BIT(BPF_GROUP_FENTRY), false},
	{"head_inet6_sendmsg", GROUP_BIT(BPF_GROUP_FENTRY), false},
	{"head_inet_again", GROUP_BIT(BPF_GROUP_FENTRY), true},
	{"head_inet6_again", GROUP_BIT(BPF_GROUP_FENTRY), true},
	{"head_inet_sendpage", GROUP_BIT(BPF_GROUP_FENTRY), false},
	{"head_sk_msg", GROUP_BIT(BPF_GROUP_SK_MSG), false},
	{"steer_connect4", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_connect6", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_sendmsg4", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_sendmsg6", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_peername4", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_peername6", GROUP_BIT(BPF_GROUP_STEER), false},
	{"steer_tell", GROUP_BIT(BPF_GROUP_STEER), false},
	{"head_ring_wipe", HEAD_GROUPS, false}, /* helps whichever samples */
};

/* Maps that are not named here are the head samplers', of both attach points. */
static const struct {
	const char *name;
	unsigned int groups;
} maps[] = {
	{"socket_times", GROUP_BIT(BPF_GROUP_TIMINGS)},
	{"endpoints", GROUP_BIT(BPF_GROUP_TIMINGS)},
	{"processes", GROUP_BIT(BPF_GROUP_PROCESSES)},
	{"callers", GROUP_BIT(BPF_GROUP_PROCESSES)},
	{"steer_settings", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_self", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_beat", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_ports", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_take", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_exempt", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_users", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_cgroups", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_sockets", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_calls", GROUP_BIT(BPF_GROUP_STEER)},
	{"steer_counts", GROUP_BIT(BPF_GROUP_STEER)},
};

static const struct group_program *find_program(const char *name)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (strcmp(programs[i].name, name) == 0)
			return &programs[i];
	}
	return NULL;
}

unsigned int bpf_groups_of_program(const char *name)
{
	const struct group_program *program = find_program(name);

	return program ? program->groups : 0;
}

const char *bpf_group_name(enum bpf_group group)
{
	switch (group) {
	case BPF_GROUP_TIMINGS: return "timings";
	case BPF_GROUP_PROCESSES: return "processes";
	case BPF_GROUP_FENTRY: return "fentry";
	case BPF_GROUP_SK_MSG: return "sk_msg";
	case BPF_GROUP_STEER: return "steering";
	case BPF_GROUPS: break;
	}
	return "unknown";
}

static unsigned int groups_of_map(const struct bpf_map *map)
{
	/* .rodata and the like: any program may need them. */
	if (bpf_map__is_internal(map))
		return ~0U;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		if (strcmp(maps[i].name, bpf_map__name(map)) == 0)
			return maps[i].groups;
	}
	/* Only an sk_msg program needs a sockmap. */
	if (bpf_map__type(map) == BPF_MAP_TYPE_SOCKHASH ||
	    bpf_map__type(map) == BPF_MAP_TYPE_SOCKMAP)
		return GROUP_BIT(BPF_GROUP_SK_MSG);
	return HEAD_GROUPS;
}

const char *bpf_group_target(const struct bpf_program *program)
{
	static const char *const kinds[] = {"fentry/", "fexit/"};
	const char *section = bpf_program__section_name(program);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(section, kinds[i], len) == 0)
			return section + len;
	}
	return NULL;
}

static bool has_target(const struct bpf_program *program, const struct kernel_btf *kernel)
{
	const char *target = bpf_group_target(program);

	return !target || kernel_btf_has(kernel, target);
}

bool bpf_group_possible(const struct bpf_object *object, enum bpf_group group,
			const struct kernel_btf *kernel, char why[BPF_WHY_MAX])
{
	struct bpf_program *program;

	snprintf(why, BPF_WHY_MAX, "this build has no program for it");
	bpf_object__for_each_program(program, object) {
		/* What serves others as well does nothing alone. */
		if (bpf_groups_of_program(bpf_program__name(program)) != GROUP_BIT(group))
			continue;
		if (has_target(program, kernel)) {
			why[0] = '\0';
			return true;
		}
		snprintf(why, BPF_WHY_MAX,
			 "the kernel's BTF has no function %s: no program can trace it",
			 bpf_group_target(program));
	}
	return false;
}

int bpf_group_choose(struct bpf_object *object, unsigned int groups, bool stand_ins,
		     const struct kernel_btf *kernel)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_program(program, object) {
		const struct group_program *known = find_program(bpf_program__name(program));
		bool take = known && (groups & known->groups) &&
			    (stand_ins || !known->stand_in) && has_target(program, kernel);

		if (!err)
			err = bpf_program__set_autoload(program, take);
	}
	bpf_object__for_each_map(map, object) {
		if (!err)
			err = bpf_map__set_autocreate(map, groups & groups_of_map(map));
	}
	return err;
}
