/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_CAPTURE_STATUS_H
#define KSPLIT_OBSERVE_CAPTURE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* How it is with the rules that bring connections here. Names are part of the user interface. */
enum capture_state {
	CAPTURE_NOT_CONFIGURED,
	CAPTURE_STARTING, /* self-test, or rules on their way */
	CAPTURE_ON,
	CAPTURE_OFF,       /* by command, or because the daemon ends */
	CAPTURE_WITHDRAWN, /* by the watchdog, or with a keeper that is gone: comes back by itself
			    */
	CAPTURE_FAILED,    /* could not be switched on: `why`; until it is asked for again */
	CAPTURE_STATES,
};

/* Why rules were withdrawn. */
enum capture_withdrawal {
	CAPTURE_BY_COMMAND,
	CAPTURE_BY_WATCHDOG, /* a worker, or the whole daemon, did not move */
	CAPTURE_BY_KEEPER,   /* its process was gone */
	CAPTURE_BY_END,      /* the daemon drains */
	CAPTURE_WITHDRAWALS,
};

#define CAPTURE_BY  80
#define CAPTURE_WHY 400

struct capture_status {
	enum capture_state state;
	bool has_owner;   /* on: the kernel withdraws the rules when their keeper dies */
	int64_t since_ms; /* wall clock, of this state; 0: never was another */
	int keeper_pid;   /* 0: none */
	uint64_t loaded;  /* how often rules were loaded */
	uint64_t self_test_failed;
	uint64_t withdrawn[CAPTURE_WITHDRAWALS];
	char by[CAPTURE_BY];   /* who brought this state about */
	char why[CAPTURE_WHY]; /* "": all is as it was asked for */
};

const char *capture_state_name(enum capture_state state);
const char *capture_withdrawal_name(enum capture_withdrawal withdrawal);

#endif
