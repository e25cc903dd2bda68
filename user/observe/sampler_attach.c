// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "ksplit.skel.h"
#include "observe/bpf_object.h"
#include "observe/sampler_internal.h"

/* The first time it is attached already (bpf_instance.h): `loaded` is that link's place. */
static int attach_trace(struct sampler *sampler, struct bpf_program *program,
			struct bpf_link **loaded, const char *name)
{
	struct bpf_link *link = *loaded;

	if (bpf_program__fd(program) < 0)
		return 0; /* not loaded: this kernel has no such function, or needs no stand-in */
	*loaded = NULL;
	if (!link)
		link = bpf_program__attach(program);
	if (!link)
		return -errno;
	sampler->links[sampler->links_len++] = link;
	bpf_object_pin_link(sampler->set, link, name);
	return 0;
}

#define TRACE(name)                                                                                \
	{                                                                                          \
		sampler->skel->progs.name, &sampler->skel->links.name, "link_" #name               \
	}

int sampler_attach_fentry(struct sampler *sampler)
{
	const struct {
		struct bpf_program *program;
		struct bpf_link **loaded;
		const char *pin;
	} traces[] = {
		TRACE(head_inet_sendmsg), TRACE(head_inet6_sendmsg), TRACE(head_inet_again),
		TRACE(head_inet6_again),  TRACE(head_inet_sendpage),
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(traces) / sizeof(traces[0]); i++)
		err = attach_trace(sampler, traces[i].program, traces[i].loaded, traces[i].pin);
	return err;
}

/* A sockhash has no link before 6.13; the map's end is the program's, too. */
int sampler_attach_sk_msg(struct sampler *sampler)
{
	int err = bpf_prog_attach(bpf_program__fd(sampler->skel->progs.head_sk_msg),
				  bpf_map__fd(sampler->skel->maps.sampled), BPF_SK_MSG_VERDICT, 0);

	sampler->hash_attached = !err;
	return err;
}

void sampler_detach_fentry(struct sampler *sampler)
{
	while (sampler->links_len) {
		struct bpf_link *link = sampler->links[--sampler->links_len];

		bpf_link__unpin(link);
		bpf_link__destroy(link);
	}
}

void sampler_detach_sk_msg(struct sampler *sampler)
{
	if (sampler->hash_attached)
		bpf_prog_detach2(bpf_program__fd(sampler->skel->progs.head_sk_msg),
				 bpf_map__fd(sampler->skel->maps.sampled), BPF_SK_MSG_VERDICT);
	sampler->hash_attached = false;
}
