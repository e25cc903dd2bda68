/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_STEER_INNER_H
#define KSPLIT_CAPTURE_STEER_INNER_H

#include <pthread.h>

#include "capture/steer.h"

/* What the files steer*.c share of a hook, and nobody else sees. */

struct bpf_object_set;
struct ksplit_bpf;
struct steer_targets;

struct steer {
	struct steer_options options;
	struct bpf_object_set *set; /* NULL: BPF cannot be used, and that for good */
	struct ksplit_bpf *skel;    /* the set's */
	int inherited_calls;	    /* another's steer_calls; -1: none */
	pthread_t thread;
	/* of the thread, and of steer_new before there is one */
	struct steer_targets *targets; /* NULL until it is on for the first time */
	bool wanted;		       /* told to be on, and nothing is wrong */
	uint64_t beat_ns;	       /* the last beat of the heart, or since when it is waited for */
	pthread_mutex_t lock;
	pthread_cond_t wake, settled; /* CLOCK_MONOTONIC */
	/* under the lock */
	bool has_thread;
	bool ends;
	bool asked_on;
	char asked_by[CAPTURE_BY];
	uint64_t asked, done; /* commands, by number */
	char broken[CAPTURE_WHY]; /* why it can never be on; "": it may */
	struct steer_status status;
};

/* --- steer_state.c: how it is --- */

/* CLOCK_MONOTONIC, as the programs have it. */
uint64_t steer_clock_ns(void);
enum capture_state steer_state(struct steer *steer);
void steer_set_state(struct steer *steer, enum capture_state state, const char *by,
		     const char *why);
void steer_set_state_locked(struct steer *steer, enum capture_state state, const char *by,
			    const char *why);
void steer_count_withdrawn(struct steer *steer, enum capture_withdrawal withdrawal);

/* --- steer_switch.c: what the programs are told; on the thread --- */

/* 0 or -errno with a sentence in `why`. */
int steer_load(struct steer *steer, char *why, size_t why_len);

/*
 * Try it, fill the maps, attach; nothing is steered before the first beat. Else the state is
 * CAPTURE_FAILED and calls go direct.
 */
void steer_switch_on(struct steer *steer, const char *by);

/* Calls go direct. What was found out about the cgroups is forgotten. */
void steer_switch_off(struct steer *steer, const char *by, enum capture_withdrawal withdrawal);

/* The heart beats: calls are steered for `watchdog` ms from now. 0 or -errno. */
int steer_beat(struct steer *steer);

/* Nothing new is steered; the programs stay where they are. */
void steer_hold(struct steer *steer);

/* Cgroups that have come and gone. */
void steer_look(struct steer *steer);

#endif
