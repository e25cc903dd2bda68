/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_HANDOVER_TAKE_H
#define KSPLIT_CORE_HANDOVER_TAKE_H

#include <stddef.h>
#include <stdint.h>

struct listen_fds;

/*
 * The end of a handover (core/handover_wire.h) that takes over. All functions are for the main
 * thread; NULL in place of a handover is none, and there is nothing to do then.
 */
struct handover_take;

/*
 * Is there one to take over from (KSPLIT_HANDOVER in the environment, which is taken out of it)?
 * *out stays NULL if not. Waits for what is offered, for some seconds at most. Caller owns *out. 0,
 * or -errno with one line in `error`.
 */
int handover_take_open(struct handover_take **out, char *error, size_t error_len);

/* Add the listening sockets that are offered. 0 or -errno with one line in `error`. */
int handover_take_listeners(struct handover_take *take, struct listen_fds *out, char *error,
			    size_t error_len);

/* The metrics port's socket, and the map of steered calls: the caller's; -1: none. */
int handover_take_metrics(struct handover_take *take);
int handover_take_calls(struct handover_take *take);

/* HANDOVER_CAPTURE_OFF ... (core/handover_wire.h): how the other one is. */
uint32_t handover_take_flags(const struct handover_take *take);

/* The keys of session tickets as text (ticket_keys_import); NULL or "": there are none. To be
 * wiped: secret. NULL allowed. */
const char *handover_take_tickets(const struct handover_take *take);
void handover_take_forget_tickets(struct handover_take *take);

/*
 * Ready: have the other one stop accepting; waits until it has. `mark`: SO_MARK of this one's own
 * calls, 0: none. -ECANCELED: it goes on itself, and
 * this one has to end. It is no error when it is dead: all is here then. 0 or -errno with one line
 * in `error`.
 */
int handover_take_stop(struct handover_take *take, uint32_t mark, char *error, size_t error_len);

/* All is taken over: let the other one go. The same. */
int handover_take_finish(struct handover_take *take, char *error, size_t error_len);

/* The control socket is this one's, too: the other one need wait no longer. */
void handover_take_leave(struct handover_take *take);

/* It comes to nothing, and why: the other one goes on. */
void handover_take_refuse(struct handover_take *take, const char *why);

void handover_take_free(struct handover_take *take);

#endif
