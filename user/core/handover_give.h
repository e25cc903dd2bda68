/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_HANDOVER_GIVE_H
#define KSPLIT_CORE_HANDOVER_GIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The end of a handover (core/handover_wire.h) that gives: starts a new ksplitd by the launcher,
 * and goes on as if nothing had been when that one does not take over. It is led by a thread of its
 * own, so that the main thread keeps the rules' keeper and all else alive meanwhile. Functions are
 * for the main thread, but for handover_give_ask.
 */
struct handover_give;
struct server;

#define HANDOVER_WHY 512

/* What became of one. */
struct handover_outcome {
	bool done;
	pid_t pid; /* the new one's, when it has taken over */
	char why[HANDOVER_WHY];
};

/* `server` must outlive it. Caller owns *out. 0 or -ENOMEM. */
int handover_give_new(struct server *server, struct handover_give **out);

/*
 * SIGUSR2 has come: begin; or, since the thread tells so that it has come to its end, take note.
 * true: another ksplitd has taken over, and this one has to end.
 */
bool handover_give_signal(struct handover_give *give);

/* Is one under way? Then listeners, rules and the launcher are not the main thread's to change. */
bool handover_give_is_running(const struct handover_give *give);

/* What became of the one with this number. false: it has not come to its end. */
bool handover_give_outcome(struct handover_give *give, uint64_t number,
			   struct handover_outcome *out);

/*
 * The end: none is begun any more, and one that is under way comes to nothing, if it is not done.
 * Has one been done?
 */
bool handover_give_end(struct handover_give *give);
void handover_give_free(struct handover_give *give);

/*
 * Any thread: have the main thread begin one, by a SIGUSR2 to this process. `whole`: the new one is
 * to take over only if it captures all that its configuration says. Its number.
 */
uint64_t handover_give_request(struct handover_give *give, const char *by, bool whole);

/* Another thread: begin one (`by` says who asks; for the log) and wait for what becomes of it. */
void handover_give_ask(struct handover_give *give, const char *by, struct handover_outcome *out);

#endif
