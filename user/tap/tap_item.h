/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAP_ITEM_H
#define KSPLIT_TAP_TAP_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "observe/conn_info.h"

/* What a worker hands to the thread of a tap. */
enum tap_what {
	TAP_DATA,  /* bytes of a connection, or lines of keys */
	TAP_CLOSE, /* no more of this connection */
	TAP_ADOPT, /* go on with `object` */
};

/* A pipe that has a copy of what was spliced (tee(2)). */
struct tap_pipe {
	struct tap_pipe *next; /* among the free ones */
	int read_fd, write_fd;
	bool spoiled; /* what is in it behind `len` of its item is to be thrown away */
};

struct tap_item {
	STAILQ_ENTRY(tap_item) link;
	enum tap_what what;
	enum conn_flow flow;
	void *object;		 /* of the tap: its connection; what to adopt */
	uint64_t time_us;	 /* wall clock */
	uint64_t missing[FLOWS]; /* TAP_CLOSE: bytes that it was not shown */
	struct tap_pipe *pipe;	 /* where the bytes are; NULL: they are in `bytes` */
	size_t len;
	uint8_t bytes[];
};

STAILQ_HEAD(tap_items, tap_item);

/* A copy of the bytes (NULL with 0: none); NULL: no memory. */
struct tap_item *tap_item_new(enum tap_what what, const void *bytes, size_t len);

/* Set its time to now. */
void tap_item_stamp(struct tap_item *item);

/* Wipes the bytes; a pipe stays. NULL allowed. */
void tap_item_free(struct tap_item *item);

#endif
