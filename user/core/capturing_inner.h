/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURING_INNER_H
#define KSPLIT_CORE_CAPTURING_INNER_H

#include <pthread.h>
#include <stdint.h>

#include "capture/keeper.h"
#include "core/capturing.h"

/* What the files capturing*.c share, and nobody else sees. */

#define CAPTURING_NEVER UINT64_MAX
#define CAPTURING_TEXTS 4

#define CAPTURING_END_MS 3000 /* for the keeper's answer when something ends */

struct ca;
struct pulse;

struct capturing {
	struct server *server;
	const struct capture *capture;
	const struct ca *next_ca; /* while what a reload wants is tried; NULL: there is none */
	struct self_test *self_test;
	char *texts[CAPTURING_TEXTS]; /* of struct keeper_rules, in its order */
	struct pulse *pulse;          /* is a beat due? */
	int wake_fd;                  /* a command has come */
	int signal_fd;                /* -1 until there is something to wait for */
	/* of the main thread */
	struct keeper *keeper; /* NULL: none now; replaced under keeper_lock */
	bool wanted;           /* told to be on */
	bool recovering;       /* it was on, and shall be again without being told */
	uint64_t beat_us, answer_us, retry_us, clear_us; /* when these are due; CAPTURING_NEVER */
	uint64_t retry_delay_us;
	char by[CAPTURE_BY]; /* who gave the order under way */
	pthread_mutex_t keeper_lock;
	pthread_mutex_t lock;
	pthread_cond_t settled;
	/* under lock */
	struct capture_status status;
	bool ended; /* nothing is switched any more */
	bool asked_on;
	char asked_by[CAPTURE_BY];
	uint64_t asked, seen, done; /* commands, by number */
};

/* --- capturing.c --- */

/* A name for the table of one that takes over; for others the configured one stays. */
int capturing_name_table(const struct server *server, struct capture *capture, char *error,
			 size_t error_len);

/* --- capturing_state.c: how it is --- */

enum capture_state capturing_state(struct capturing *capturing);

/* Has the configuration rules at all? */
bool capturing_has_rules(struct capturing *capturing);

void capturing_set_state(struct capturing *capturing, enum capture_state state, const char *by,
			 const char *why);
void capturing_count_withdrawn(struct capturing *capturing, enum capture_withdrawal withdrawal);

/* --- capturing_try.c: may rules be loaded? --- */

/* Can our own calls be marked? Without the mark they would be captured. */
bool capturing_can_mark(const struct capture *capture, char *why, size_t why_len);

/* Can our own calls be marked, does a call go through every listener? Else `why` has a sentence. */
bool capturing_try(struct capturing *capturing, char *why, size_t why_len);

/* --- capturing_change.c: other rules --- */

/* All texts; the caller frees them, in any case. 0 or -errno. */
int capturing_make_texts(const struct capture *capture, char *texts[CAPTURING_TEXTS]);

/* --- capturing_order.c: on and off --- */

int capturing_start_keeper(struct capturing *capturing);

/* Have it end, which it has `timeout_ms` for; nothing when there is none. */
void capturing_stop_keeper(struct capturing *capturing, int timeout_ms);

void capturing_switch_on(struct capturing *capturing, const char *by);
void capturing_switch_off(struct capturing *capturing, const char *by,
			  enum capture_withdrawal withdrawal);

/* Have rules loaded again that were loaded before, without trying anything. */
void capturing_load(struct capturing *capturing);

/* Withdraw, and wait for the keeper's word, as long as it may take at the end. */
void capturing_withdraw(struct capturing *capturing, const char *by,
			enum capture_withdrawal withdrawal);

/* No process is needed any more: there are no rules, and nothing is left for open connections. */
void capturing_dismiss_keeper(struct capturing *capturing);

/* The keeper cannot be used any more: end it, and make another in a while. */
void capturing_lose_keeper(struct capturing *capturing, const char *why);

/* Off until somebody asks for it again; retry_later: on again by itself. */
void capturing_give_up(struct capturing *capturing, const char *why);
void capturing_retry_later(struct capturing *capturing);

/* --- capturing_report.c: what the keeper tells --- */

void capturing_obey(struct capturing *capturing, const struct keeper_report *report);

/* Take away what was left for open connections once there are none. */
void capturing_clear(struct capturing *capturing);

#endif
