/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_INTERNAL_H
#define KSPLIT_OBSERVE_SAMPLER_INTERNAL_H

#include <bpf/libbpf.h>

#include "observe/sampler.h"

#define SAMPLER_WHY_MAX	  256
#define SAMPLER_LINKS_MAX 5

/* Shared by the files of the sampler (sampler*.c). */
struct sampler {
	struct bpf_object_set *set; /* not owned */
	struct ksplit_bpf *skel;    /* not owned; NULL: no head program is loaded */
	struct bpf_link *links[SAMPLER_LINKS_MAX];
	size_t links_len;
	bool hash_attached; /* sk_msg at the sockhash */
	bool misses_spare;
	struct ring_buffer *ring;
	/* The ring's first two pages: how far it is read, how far it is written. */
	const _Atomic unsigned long *consumed, *produced;
	sampler_event_fn event; /* within sampler_poll */
	void *event_ctx;
	const uint64_t *asked; /* sampler_look.h: a word for each worker; NULL: none is mapped */
	size_t asked_len;
	uint64_t polled;   /* events taken by the present poll */
	bool behind; /* sampler_is_behind */
	bool dirty;	   /* read events lie in the ring */
	enum ksplit_sampler at[SAMPLER_PLACES];
	char why[SAMPLER_WHY_MAX];
};

/* Connection numbers of probes: above any that a connection gets. */
#define SAMPLER_PROBE_CONN (~0ULL >> 1)

#endif
