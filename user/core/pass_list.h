/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_PASS_LIST_H
#define KSPLIT_CORE_PASS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ksplit/reason.h>

#include "observe/conn_info.h"

/*
 * What was passed through, or is to be: entries by reason, rule, client and name, each with its
 * count and time. Bounded; the one that was not used for longest makes room. Shared by the workers:
 * every function may be called by any thread.
 */
struct pass_list;

#define PASS_NO_RULE UINT32_MAX

/* What makes an entry. Filled by pass_key_set alone, so that equal ones are equal in all bytes. */
struct pass_key {
	uint32_t reason; /* enum ksplit_reason */
	uint32_t rule;	 /* its index, or PASS_NO_RULE */
	uint8_t client[16]; /* IPv4 mapped; all zero: any */
	char name[256];	    /* the SNI; else the origin's address and port */
};

struct pass_entry {
	struct pass_key key;
	uint64_t count;
	uint64_t last_ms;    /* of CLOCK_MONOTONIC, as all times here */
	uint64_t expires_ms; /* 0: never */
};

/*
 * `client` may be NULL; of it the IP address counts and the port does not. `name` is the SNI, and
 * `origin` (NULL: not known) stands in for an empty one.
 */
void pass_key_set(struct pass_key *key, enum ksplit_reason reason, uint32_t rule,
		  const union conn_address *client, const char *name,
		  const union conn_address *origin);

/* Caller owns *out; `max` is at least 1. 0 or -ENOMEM. */
int pass_list_new(size_t max, struct pass_list **out);
void pass_list_free(struct pass_list *list);

/* Put an entry there that expires at a time, or move its time; its count stays. 0 or -ENOMEM. */
int pass_list_put(struct pass_list *list, const struct pass_key *key, uint64_t now_ms,
		  uint64_t expires_ms);

/* Count one more. An entry that is not there is made: 0 or -ENOMEM. */
int pass_list_count(struct pass_list *list, const struct pass_key *key, uint64_t now_ms);

/* Count one more of an entry that is there and has not expired. false: there is none. */
bool pass_list_use(struct pass_list *list, const struct pass_key *key, uint64_t now_ms);

/* No entry at all? Costs no lock. */
bool pass_list_empty(const struct pass_list *list);

/*
 * All entries that have not expired, the last used first: an array that the caller frees with
 * free(3). 0 or -ENOMEM.
 */
int pass_list_read(struct pass_list *list, uint64_t now_ms, struct pass_entry **out, size_t *len);

/* Drop what is counted by rules: they are others now. */
void pass_list_forget_rules(struct pass_list *list);

/* How many had to make room so far. */
uint64_t pass_list_evicted(struct pass_list *list);

#endif
