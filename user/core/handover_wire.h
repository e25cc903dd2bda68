/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_HANDOVER_WIRE_H
#define KSPLIT_CORE_HANDOVER_WIRE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a ksplitd and the one that takes over from it say to each other, over a socket pair of their
 * own (SOCK_SEQPACKET). The two may be of different versions: head and lengths stay as they are for
 * ever, and a version that is not spoken is refused in words.
 *
 *   old                                     new
 *   LISTENERS (descriptors) ...  ->
 *   METRICS, CALLS (a descriptor each) ->   (where it has them)
 *   STATE  ->                               makes everything but what there can be only one of
 *                                        <- READY (flags: SO_MARK of its calls)
 *   withdraws what would capture these
 *   stops accepting; STOPPED  ->            accepts, loads rules and hook
 *                                        <- DONE
 *   withdraws its own; BYE  ->              takes the control socket's name
 *
 * Until DONE the new one may say REFUSED, or end, and the old one CANCELLED: then the old one goes
 * on.
 */
#define HANDOVER_VERSION 1

enum handover_type {
	HANDOVER_LISTENERS = 1,
	HANDOVER_METRICS,
	HANDOVER_CALLS, /* BPF map: where connections that were steered wanted to go */
	HANDOVER_STATE, /* flags, ticket keys as text (may be ""); nothing more is offered */
	HANDOVER_READY,
	HANDOVER_STOPPED,
	HANDOVER_DONE,
	HANDOVER_BYE,
	HANDOVER_REFUSED,   /* text */
	HANDOVER_CANCELLED, /* text */
};

/*
 * Flags of STATE: what somebody has switched off stays off, and what captures has to go on; WHOLE:
 * all that is configured has to capture.
 */
#define HANDOVER_CAPTURE_OFF 1U
#define HANDOVER_RULES_ON    2U
#define HANDOVER_HOOK_ON     4U
#define HANDOVER_WHOLE       8U

#define HANDOVER_TEXT 480

struct handover_message {
	uint32_t version;
	uint32_t type; /* enum handover_type */
	uint32_t flags;
	uint32_t reserved;
	char text[HANDOVER_TEXT]; /* ends with a NUL */
};

/* Send one; text NULL: "". 0 or -errno. */
int handover_send(int sock, enum handover_type type, uint32_t flags, const char *text,
		  const int *fds, size_t fds_len, int timeout_ms);

/*
 * Receive one; waits for `timeout_ms`. Descriptors as with fd_message_receive. 0; -EPIPE (the other
 * end is gone), -ETIMEDOUT, -EPROTO (no such message), -EPROTONOSUPPORT (another version:
 * message->version).
 */
int handover_receive(int sock, struct handover_message *message, int *fds, size_t *fds_len,
		     int timeout_ms);

#endif
