// SPDX-License-Identifier: GPL-2.0-or-later
/* What the keeper tells, and what follows from it. */
#include "core/capturing_inner.h"

#include <stdio.h>

#include "core/log.h"
#include "core/server.h"

#define CLEAR_US 1000000 /* between two looks whether connections are open */

static void told_loaded(struct capturing *capturing, const struct keeper_report *report)
{
	pthread_mutex_lock(&capturing->lock);
	capturing->status.loaded++;
	capturing->status.has_owner = report->has_owner;
	pthread_mutex_unlock(&capturing->lock);
	capturing->answer_us = CAPTURING_NEVER;
	capturing->recovering = false;
	log_info("capture is on: table inet %s, kept by process %d", capturing->capture->table,
		 (int)keeper_pid(capturing->keeper));
	if (!report->has_owner)
		log_warn("this kernel knows no owner of a table (it came with Linux 5.12): should "
			 "ksplitd's keeper be killed, the rules stay until a new one is there");
	capturing_set_state(capturing, CAPTURE_ON,
			    report->event == KEEPER_RESUMED ? "watchdog" : capturing->by, "");
}

static void told_stalled(struct capturing *capturing)
{
	char why[CAPTURE_WHY];

	snprintf(why, sizeof(why),
		 "a worker, or all of ksplitd, did not move for %u ms; the rules come back when it "
		 "does",
		 (unsigned int)capturing->capture->watchdog);
	capturing_count_withdrawn(capturing, CAPTURE_BY_WATCHDOG);
	log_error("capture is withdrawn: %s", why);
	capturing_set_state(capturing, CAPTURE_WITHDRAWN, "watchdog", why);
}

static void told_failed(struct capturing *capturing, const struct keeper_report *report)
{
	char why[CAPTURE_WHY];
	bool again = capturing->wanted && capturing_state(capturing) == CAPTURE_WITHDRAWN;

	if (!capturing->wanted && capturing_state(capturing) == CAPTURE_FAILED)
		return; /* told already */
	snprintf(why, sizeof(why), "the rules could not be %s: %.300s",
		 capturing->wanted ? "loaded" : "withdrawn", report->text);
	if (!again) {
		capturing_give_up(capturing, why);
		return;
	}
	log_error("capture: %s; tried again", why);
	capturing_set_state(capturing, CAPTURE_WITHDRAWN, "keeper", why);
	capturing_retry_later(capturing);
}

static bool has_open_connections(const struct capturing *capturing)
{
	const struct server *server = capturing->server;

	for (size_t i = 0; i < server->workers_len; i++)
		for (int state = 0; state < CONN_STATES; state++)
			if (atomic_load_explicit(&server->workers[i].open_by_state[state],
						 memory_order_relaxed))
				return true;
	return false;
}

static void told_removed(struct capturing *capturing, const struct keeper_report *report)
{
	enum capture_state state = capturing_state(capturing);

	capturing->answer_us = CAPTURING_NEVER;
	/*
	 * What is left for open connections goes with the last of them; those that wait to be
	 * accepted are not counted yet.
	 */
	capturing->clear_us = report->held ? worker_clock_us() + CLEAR_US : CAPTURING_NEVER;
	capturing_dismiss_keeper(capturing);
	if (state == CAPTURE_FAILED || state == CAPTURE_OFF || state == CAPTURE_NOT_CONFIGURED)
		return;
	log_info("capture is off: by %s", capturing->by);
	capturing_set_state(capturing, CAPTURE_OFF, capturing->by, "");
}

void capturing_clear(struct capturing *capturing)
{
	bool idle = !has_open_connections(capturing);

	capturing->clear_us = idle ? CAPTURING_NEVER : worker_clock_us() + CLEAR_US;
	if (idle && capturing->keeper)
		keeper_remove(capturing->keeper);
}

void capturing_obey(struct capturing *capturing, const struct keeper_report *report)
{
	/* What was said before an order came counts no more. */
	bool wanted = capturing->wanted;

	switch (report->event) {
	case KEEPER_LOADED:
	case KEEPER_RESUMED:
		if (wanted)
			told_loaded(capturing, report);
		break;
	case KEEPER_STALLED:
		if (wanted)
			told_stalled(capturing);
		break;
	case KEEPER_REMOVED:
		if (!wanted)
			told_removed(capturing, report);
		break;
	case KEEPER_FAILED: told_failed(capturing, report); break;
	}
}
