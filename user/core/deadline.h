/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_DEADLINE_H
#define KSPLIT_CORE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * Deadlines of one worker. Each kind has one length for all, so a queue per kind is in order by
 * itself and setting, moving and clearing a deadline cost a few pointers.
 */
enum deadline_kind {
	DEADLINE_SILENCE, /* no byte of the client: perhaps the server speaks first */
	DEADLINE_PEEK,
	DEADLINE_RESOLVE,
	DEADLINE_CONNECT,
	DEADLINE_CONNECT_TRY, /* one of several addresses */
	DEADLINE_PLAIN,	      /* a dialogue in plain is watched */
	DEADLINE_PLAIN_HELLO, /* ... and holds what may be the beginning of a ClientHello */
	DEADLINE_UPSTREAM_HANDSHAKE,
	DEADLINE_CLIENT_HANDSHAKE,
	DEADLINE_IDLE,
	DEADLINE_CLOSE,
	DEADLINE_SETTLE,       /* look again at a socket that still sends */
	DEADLINE_ACCEPT_PAUSE, /* try to accept again */
	DEADLINE_TICKETS,      /* of an origin, after the handshake */
	DEADLINE_KINDS
};

struct deadline {
	TAILQ_ENTRY(deadline) link;
	enum deadline_kind kind;
	bool set;
	uint64_t at_us;
	void (*expired)(struct deadline *deadline);
};

TAILQ_HEAD(deadline_queue, deadline);

struct deadlines {
	struct deadline_queue queues[DEADLINE_KINDS];
	uint64_t length_us[DEADLINE_KINDS];
};

/* Empty queues; lengths in milliseconds by kind. */
void deadlines_init(struct deadlines *deadlines, const uint32_t length_ms[DEADLINE_KINDS]);

/*
 * Other lengths from now on. What is under way ends when it would have, or after the new length
 * from now, whichever comes first: the queues stay in order.
 */
void deadlines_change(struct deadlines *deadlines, const uint32_t length_ms[DEADLINE_KINDS],
		      uint64_t now_us);

/*
 * (Re)start a deadline, now_us + its kind's length from now. The struct is the caller's and must
 * stay until it is cleared or expired.
 */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind,
		  uint64_t now_us);
void deadline_clear(struct deadlines *deadlines, struct deadline *deadline);

/* Call `expired` of the one that is due next of its kind, though it is not yet. */
void deadlines_expire_first(struct deadlines *deadlines, enum deadline_kind kind);

/* Call `expired` of all that are due (each is cleared first and may be set again). */
void deadlines_run(struct deadlines *deadlines, uint64_t now_us);

/* Milliseconds to the next one, rounded up; -1: none. For epoll_wait(2). */
int deadlines_next_ms(const struct deadlines *deadlines, uint64_t now_us);

#endif
