/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_KEEPER_H
#define KSPLIT_CAPTURE_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "capture/nft_table.h"

/*
 * The keeper: a process beside the daemon that holds the capture table, so that the rules go
 * whenever what they lead to is not well. It withdraws them when
 *   - no beat comes for `watchdog_ms` (the daemon is stopped, or one of its workers hangs); when
 * beats come again it loads them again;
 *   - the daemon is gone, however it ended (end of file on the socket between them);
 *   - it is told to end (SIGTERM).
 * When it is killed itself, the kernel withdraws them: the table has the owner flag, and its owner
 * is a socket of the keeper's. Where the kernel has no such flag (before Linux 5.12) a keeper that
 * is killed leaves the rules behind; the next one replaces them.
 *
 * Functions are for the one thread that called keeper_start: the keeper is told to die with it.
 */
struct keeper;

struct keeper_options {
	const char *table;    /* its name */
	uint32_t watchdog_ms; /* at least 1 */
};

/*
 * What a keeper loads: each with the owner flag and without (nft_table_load). `open` is for
 * connections that were captured before, while the rules are withdrawn (rules_text_make_open); "":
 * nothing stays then.
 */
struct keeper_rules {
	const char *owned, *plain;
	const char *open_owned, *open_plain;
};

/* What a keeper tells. */
enum keeper_event {
	KEEPER_LOADED,  /* as it was told */
	KEEPER_REMOVED, /* as it was told: withdrawn, or removed altogether */
	KEEPER_STALLED, /* no beat: withdrawn by the watchdog */
	KEEPER_RESUMED, /* beats again: loaded again */
	KEEPER_FAILED,  /* to do what was asked: `error`, `text`; `loaded` as it was before */
};

struct keeper_report {
	enum keeper_event event;
	int error;      /* 0 or -errno */
	bool loaded;    /* rules capture now */
	bool held;      /* withdrawn, but what open connections need is there */
	bool has_owner; /* the table that is there has the owner flag */
	char text[NFT_TABLE_ERROR];
};

/*
 * Make the process; anything that an earlier one has left is removed by it at once. Better called
 * before there are threads: then nothing of theirs is in its memory. It is a session of its own and
 * holds no descriptor of the daemon's but standard ones. Caller owns *out. 0 or -errno.
 */
int keeper_start(const struct keeper_options *options, struct keeper **out);

/*
 * Readable: keeper_read has something to say. Belongs to the keeper.
 */
int keeper_fd(const struct keeper *keeper);
pid_t keeper_pid(const struct keeper *keeper);

/*
 * Orders; each is answered by a report (LOADED or REMOVED, or FAILED). Loading begins the watch
 * for beats. The texts are copied. Withdrawing leaves what open connections need, removing nothing.
 * 0, or -errno: it does not listen, so end it.
 */
int keeper_load(struct keeper *keeper, const struct keeper_rules *rules);
int keeper_withdraw(struct keeper *keeper);
int keeper_remove(struct keeper *keeper);

/*
 * All is well. Never waits: a keeper that does not read is noticed elsewhere. Any thread, as long as
 * the keeper is not stopped.
 */
void keeper_beat(struct keeper *keeper);

/* The next report. 1: there was one; 0: not now; -EPIPE: the keeper is gone. */
int keeper_read(struct keeper *keeper, struct keeper_report *report);

/* The same, waiting up to `timeout_ms`; 0: none came. */
int keeper_wait(struct keeper *keeper, struct keeper_report *report, int timeout_ms);

/*
 * Have it withdraw and end; after `timeout_ms` it is killed. Then the process is reaped and the
 * object freed. NULL allowed.
 */
void keeper_stop(struct keeper *keeper, int timeout_ms);

#endif
