/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_KEEPER_WIRE_H
#define KSPLIT_CAPTURE_KEEPER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Messages between ksplitd and its keeper, on a Unix stream socket of their own: a head, then `len`
 * bytes. Both ends are the same program, so the machine's own byte order will do; lengths are
 * checked all the same.
 */
enum keeper_message {
	KEEPER_MESSAGE_BEAT = 1, /* to the keeper: the workers are alive */
	KEEPER_MESSAGE_LOAD,     /* to it: the texts of struct keeper_rules, each with its NUL */
	KEEPER_MESSAGE_WITHDRAW, /* to it */
	KEEPER_MESSAGE_REMOVE,   /* to it */
	KEEPER_MESSAGE_REPORT,   /* from it: struct keeper_said, then a text with its NUL */
};

struct keeper_head {
	uint32_t message; /* enum keeper_message */
	uint32_t len;
};

/* The fixed part of a report. */
struct keeper_said {
	int32_t event; /* enum keeper_event */
	int32_t error; /* 0 or -errno */
	uint32_t loaded, held;
	uint32_t has_owner;
};

#define KEEPER_WIRE_MAX (4u << 20) /* bytes after a head: tens of thousands of networks */

/* What has come of messages. Zeroed: nothing. */
struct keeper_inbox {
	char *bytes; /* owned */
	size_t len, size;
};

/*
 * Read what is there without waiting. 0: nothing more now; -EPIPE: the other end is gone (what came
 * before is still in the inbox); -ENOMEM, -EPROTO (a head that makes no sense).
 */
int keeper_wire_read(struct keeper_inbox *inbox, int fd);

/*
 * The oldest whole message: its head, and its bytes in *body until the next call of another
 * function here. false: there is none.
 */
bool keeper_wire_next(const struct keeper_inbox *inbox, struct keeper_head *head,
		      const char **body);

/* Take the message that keeper_wire_next gave out of the inbox. */
void keeper_wire_drop(struct keeper_inbox *inbox);
void keeper_wire_free(struct keeper_inbox *inbox);

/*
 * Send a message made of two parts (either may be empty), waiting for room for at most
 * `timeout_ms`. 0, -ETIMEDOUT (nothing of it was sent), -EPIPE or another -errno: of no use any
 * more.
 */
int keeper_wire_send(int fd, enum keeper_message message, const void *first, size_t first_len,
		     const void *second, size_t second_len, int timeout_ms);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t keeper_wire_now_ms(void);

#endif
