/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURING_H
#define KSPLIT_CORE_CAPTURING_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "observe/capture_status.h"

struct capture;
struct capturing;
struct generation;
struct self_test;
struct server;

/*
 * Capture as the daemon sees it: rules are loaded by the keeper (capture/keeper.h) when a self-test
 * has passed, while workers are alive, and unless somebody has switched them off; a keeper that is
 * gone is replaced. Where the configuration captures nothing by rules nothing is done, until a
 * reload brings some. Functions are for the main thread, but for those that say otherwise.
 */

/*
 * Make it, and the keeper's process, if there are rules: before there are threads. `server` must
 * outlive it. 0, -ENOMEM, or another -errno with a sentence in `error`.
 */
int capturing_new(struct server *server, struct capturing **out, char *error, size_t error_len);

/*
 * The workers accept: test, and load the rules. What goes wrong is logged and told by status: the
 * daemon goes on without capture. NULL: nothing to do, as in all that follow.
 */
void capturing_begin(struct capturing *capturing);

/*
 * In place of it: nothing is loaded until somebody switches it on, as somebody switched it off
 * before.
 */
void capturing_begin_off(struct capturing *capturing);

/*
 * Until a signal of `set` comes (they are blocked), or `timeout_ms` have passed (-1: never): have
 * the workers tell that they are alive, tell the keeper, obey commands, replace a keeper. The
 * signal's number, -1: none came.
 */
int capturing_wait(struct capturing *capturing, const sigset_t *set, int timeout_ms);

/*
 * Another thread, while the main one is not in capturing_wait: have the workers tell that they are
 * alive, and tell the keeper. NULL allowed.
 */
void capturing_beat(struct capturing *capturing);

/*
 * Could rules be loaded where there are none so far: may ksplitd's own calls be marked, so that
 * they are not captured? 0, or -EPERM with a sentence in `why`.
 */
int capturing_can_begin(const struct capture *capture, char *why, size_t why_len);

/*
 * Other rules, those of the next generation: what they lead to is tried, then they take the place
 * of those that are loaded in one transaction; while capture is off nothing is loaded. Where there
 * were none they are loaded in any case; where there will be none, those that are loaded are
 * withdrawn, but for what open connections need. The listeners that they need accept already. 0, or
 * -errno with one line in `error`: the rules are what they were.
 */
int capturing_change(struct capturing *capturing, const struct generation *next, char *error,
		     size_t error_len);

/* The same words of another configuration, whose life is longer. */
void capturing_follow(struct capturing *capturing, const struct capture *capture);

/* Withdraw the rules for good, and wait until they are: before the listeners close. What open
 * connections need goes with the keeper's process, in capturing_free. */
void capturing_end(struct capturing *capturing);
void capturing_free(struct capturing *capturing);

/* Any thread: how it is. */
void capturing_read(struct capturing *capturing, struct capture_status *out);

/*
 * Any thread but the main one: switch on or off. `by` says who asks. Waits until it is done or
 * cannot be done, but no longer than a few seconds: status tells what became of it.
 */
void capturing_switch(struct capturing *capturing, bool on, const char *by);

/* Any thread: the self-test that may be under way; NULL: none ever is. */
struct self_test *capturing_self_test(const struct capturing *capturing);

#endif
