// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/bpf_instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksplit.skel.h"

/* The most that kernels before 5.20 allow; what the verifier does not write is not touched. */
#define VERIFIER_LOG ((1U << 24) - 1)
#define CONNECTIONS_MIN 1024

/* A ring buffer's size is a power of two and whole pages (kernel/bpf/ringbuf.c). */
static uint32_t round_ring(uint32_t bytes)
{
	uint32_t size = (uint32_t)sysconf(_SC_PAGESIZE);

	while (size < bytes && size < 1U << 30)
		size <<= 1;
	return size;
}

/* The ring's size, and how full it may be before the daemon is woken out of turn: a quarter. */
static int set_ring_size(struct ksplit_bpf *skel, uint32_t bytes)
{
	uint32_t size = round_ring(bytes);

	skel->rodata->wake_bytes = size / 4;
	return bpf_map__set_max_entries(skel->maps.heads, size);
}

/* Scratch memory for each. */
static int set_workers(struct ksplit_bpf *skel, uint32_t workers)
{
	struct bpf_map *const maps[] = {skel->maps.scratch, skel->maps.partial_new,
					skel->maps.second_look};
	int err = 0;

	skel->rodata->workers = workers;
	for (size_t i = 0; !err && i < sizeof(maps) / sizeof(maps[0]); i++)
		err = bpf_map__set_max_entries(maps[i], workers);
	return err;
}

/*
 * A hash has its buckets from the start, 16 bytes for each entry that there may be. A connection has
 * one pair and two beginnings of lines; twice as many, for those that are being forgotten.
 */
static int set_connections(struct ksplit_bpf *skel, uint32_t connections)
{
	const uint32_t most = bpf_map__max_entries(skel->maps.pairs);
	int err = 0;

	if (connections < CONNECTIONS_MIN)
		connections = CONNECTIONS_MIN;
	if (connections < most / 2)
		err = bpf_map__set_max_entries(skel->maps.pairs, 2 * connections);
	if (!err && connections < most / 4)
		err = bpf_map__set_max_entries(skel->maps.partial, 4 * connections);
	return err;
}

int bpf_instance_open(const struct bpf_instance_plan *plan, unsigned int groups,
		      struct ksplit_bpf **out)
{
	struct ksplit_bpf *skel = ksplit_bpf__open();
	int err;

	if (!skel)
		return -errno;
	err = bpf_group_choose(skel->obj, groups, plan->options->stand_ins, plan->kernel);
	if (!err && plan->options->ring_bytes)
		err = set_ring_size(skel, plan->options->ring_bytes);
	if (!err && plan->options->workers)
		err = set_workers(skel, plan->options->workers);
	if (!err && plan->options->connections)
		err = set_connections(skel, plan->options->connections);
	if (err) {
		ksplit_bpf__destroy(skel);
		return err;
	}
	if (plan->options->head_bytes)
		skel->rodata->head_bytes = plan->options->head_bytes;
	skel->rodata->stand_ins = plan->options->stand_ins;
	skel->rodata->netns_cookies = plan->netns_cookies;
	*out = skel;
	return 0;
}

/* The program that cannot be attached, or NULL; errno tells why. */
static struct bpf_program *find_unattachable(const struct bpf_object *object)
{
	struct bpf_program *program;
	struct bpf_link *link;

	bpf_object__for_each_program(program, object) {
		if (!bpf_program__autoload(program) || !bpf_group_target(program))
			continue;
		link = bpf_program__attach(program);
		if (!link)
			return program;
		bpf_link__destroy(link);
	}
	return NULL;
}

/* Attach the tracing programs; the links are the skeleton's. 0 or -errno. */
static int attach_traces(struct ksplit_bpf *skel)
{
	for (int i = 0; i < skel->skeleton->prog_cnt; i++) {
		const struct bpf_prog_skeleton *slot = &skel->skeleton->progs[i];

		if (!bpf_program__autoload(*slot->prog) || !bpf_group_target(*slot->prog))
			continue;
		*slot->link = bpf_program__attach(*slot->prog);
		if (!*slot->link)
			return -errno;
	}
	return 0;
}

int bpf_instance_load(const struct bpf_instance_plan *plan, unsigned int groups,
		      struct ksplit_bpf **out)
{
	struct ksplit_bpf *skel;
	int err = bpf_instance_open(plan, groups, &skel);

	if (err)
		return err;
	err = ksplit_bpf__load(skel);
	if (!err)
		err = attach_traces(skel);
	if (err) {
		ksplit_bpf__destroy(skel);
		return err;
	}
	*out = skel;
	return 0;
}

/* The verifier's last line but its statistics: what it does not like. Cuts `log` up. */
static const char *last_word(char *log)
{
	const char *word = "";
	char *line, *rest;

	for (line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "processed ", 10) != 0)
			word = line;
	}
	return word;
}

/* Load one program of the object and say what is wrong with it; false: nothing is. */
static bool explain_program(struct bpf_object *object, struct bpf_program *program, char *log,
			    char why[BPF_WHY_MAX])
{
	const char *name = bpf_program__name(program);
	const struct bpf_program *unattachable;
	int err;

	log[0] = '\0';
	bpf_program__set_log_buf(program, log, VERIFIER_LOG);
	err = bpf_object__load(object);
	if (err) {
		const char *word = last_word(log);

		snprintf(why, BPF_WHY_MAX, "the kernel refuses the program %s: %s%s%s", name,
			 strerror(-err), *word ? ": " : "", word);
		return true;
	}
	unattachable = find_unattachable(object);
	if (unattachable)
		snprintf(why, BPF_WHY_MAX, "the kernel cannot attach %s to %s: %s", name,
			 bpf_group_target(unattachable), strerror(errno));
	return unattachable;
}

/* As explain_program, for the program of this name in an instance of its own. */
static bool explain_alone(const struct bpf_instance_plan *plan, enum bpf_group group,
			  const char *name, char *log, char why[BPF_WHY_MAX])
{
	struct bpf_program *program, *wanted = NULL;
	struct ksplit_bpf *skel;
	bool found = false;

	if (bpf_instance_open(plan, 1U << group, &skel))
		return false;
	bpf_object__for_each_program(program, skel->obj) {
		if (strcmp(bpf_program__name(program), name) == 0 && bpf_program__autoload(program))
			wanted = program;
		else
			bpf_program__set_autoload(program, false);
	}
	if (wanted)
		found = explain_program(skel->obj, wanted, log, why);
	ksplit_bpf__destroy(skel);
	return found;
}

/* The verifier's own words would be of the callback, a kind of pointer that it does not know. */
static bool lacks_loop(enum bpf_group group)
{
	return (group == BPF_GROUP_FENTRY || group == BPF_GROUP_SK_MSG) &&
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_loop, NULL) == 0;
}

void bpf_instance_explain(const struct bpf_instance_plan *plan, enum bpf_group group, int err,
			  char why[BPF_WHY_MAX])
{
	char *log = malloc(VERIFIER_LOG);
	struct bpf_program *program;
	struct ksplit_bpf *skel;

	snprintf(why, BPF_WHY_MAX, "it cannot be loaded: %s", strerror(-err));
	if (lacks_loop(group))
		snprintf(why, BPF_WHY_MAX, "the sampler needs bpf_loop, this kernel has none");
	else if (log && bpf_instance_open(plan, 0, &skel) == 0) {
		bpf_object__for_each_program(program, skel->obj) {
			const char *name = bpf_program__name(program);

			if ((bpf_groups_of_program(name) & 1U << group) &&
			    explain_alone(plan, group, name, log, why))
				break;
		}
		ksplit_bpf__destroy(skel);
	}
	free(log);
}
