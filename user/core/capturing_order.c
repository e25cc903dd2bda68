// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing_inner.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/server.h"

#define ORDER_US       10000000 /* for the keeper's answer; large rulesets take seconds */
#define RETRY_FIRST_US 200000
#define RETRY_LAST_US  30000000

/* Off until somebody asks for it again; the keeper must not load by itself what it still has. */
void capturing_give_up(struct capturing *capturing, const char *why)
{
	log_error("capture is off: %s", why);
	capturing->wanted = capturing->recovering = false;
	capturing->answer_us = capturing->retry_us = CAPTURING_NEVER;
	if (capturing->keeper)
		keeper_withdraw(capturing->keeper);
	capturing_set_state(capturing, CAPTURE_FAILED, capturing->by, why);
}

void capturing_retry_later(struct capturing *capturing)
{
	capturing->recovering = true;
	capturing->answer_us = CAPTURING_NEVER;
	capturing->retry_us = worker_clock_us() + capturing->retry_delay_us;
	capturing->retry_delay_us *= 2;
	if (capturing->retry_delay_us > RETRY_LAST_US)
		capturing->retry_delay_us = RETRY_LAST_US;
}

void capturing_lose_keeper(struct capturing *capturing, const char *why)
{
	enum capture_state state = capturing_state(capturing);

	capturing_stop_keeper(capturing, 0);
	capturing->answer_us = CAPTURING_NEVER;
	if (!capturing->wanted) {
		if (state != CAPTURE_FAILED && state != CAPTURE_NOT_CONFIGURED)
			capturing_set_state(capturing, CAPTURE_OFF, capturing->by, "");
		return;
	}
	if (state == CAPTURE_ON)
		capturing_count_withdrawn(capturing, CAPTURE_BY_KEEPER);
	log_error("capture: %s; its rules are withdrawn by the kernel, a new keeper is made", why);
	capturing_set_state(capturing, CAPTURE_WITHDRAWN, "keeper", why);
	capturing_retry_later(capturing);
}

int capturing_start_keeper(struct capturing *capturing)
{
	const struct keeper_options options = {.table = capturing->capture->table,
					       .watchdog_ms = capturing->capture->watchdog};

	struct keeper *keeper;
	int err = capturing->keeper ? 0 : keeper_start(&options, &keeper);

	if (capturing->keeper || err)
		return err;
	pthread_mutex_lock(&capturing->keeper_lock);
	capturing->keeper = keeper;
	pthread_mutex_unlock(&capturing->keeper_lock);
	return 0;
}

void capturing_stop_keeper(struct capturing *capturing, int timeout_ms)
{
	struct keeper *keeper;

	pthread_mutex_lock(&capturing->keeper_lock);
	keeper = capturing->keeper;
	capturing->keeper = NULL;
	pthread_mutex_unlock(&capturing->keeper_lock);
	keeper_stop(keeper, timeout_ms);
}

void capturing_load(struct capturing *capturing)
{
	const struct keeper_rules rules = {
		.owned = capturing->texts[0],
		.plain = capturing->texts[1],
		.open_owned = capturing->texts[2],
		.open_plain = capturing->texts[3],
	};
	int err = capturing_start_keeper(capturing);

	if (err) {
		char why[CAPTURE_WHY];

		snprintf(why, sizeof(why), "cannot make the keeper's process: %s", strerror(-err));
		if (!capturing->recovering) {
			capturing_give_up(capturing, why);
			return;
		}
		log_error("capture: %s", why);
		capturing_retry_later(capturing);
		return;
	}
	capturing->beat_us = worker_clock_us();
	capturing->answer_us = worker_clock_us() + ORDER_US;
	if (keeper_load(capturing->keeper, &rules))
		capturing_lose_keeper(capturing, "the keeper takes no orders");
}

void capturing_switch_on(struct capturing *capturing, const char *by)
{
	char why[CAPTURE_WHY];

	snprintf(capturing->by, sizeof(capturing->by), "%s", by);
	capturing->wanted = true;
	capturing->recovering = false;
	capturing->retry_us = capturing->clear_us = CAPTURING_NEVER;
	capturing->retry_delay_us = RETRY_FIRST_US;
	capturing_set_state(capturing, CAPTURE_STARTING, by, "");
	if (!capturing_try(capturing, why, sizeof(why)))
		capturing_give_up(capturing, why);
	else
		capturing_load(capturing);
}

void capturing_switch_off(struct capturing *capturing, const char *by,
			  enum capture_withdrawal withdrawal)
{
	snprintf(capturing->by, sizeof(capturing->by), "%s", by);
	if (capturing_state(capturing) == CAPTURE_ON)
		capturing_count_withdrawn(capturing, withdrawal);
	capturing->wanted = capturing->recovering = false;
	capturing->retry_us = CAPTURING_NEVER;
	if (!capturing->keeper) {
		capturing_set_state(capturing, CAPTURE_OFF, by, "");
		return;
	}
	capturing->answer_us = worker_clock_us() + ORDER_US;
	if (keeper_withdraw(capturing->keeper))
		capturing_lose_keeper(capturing, "the keeper takes no orders");
}

void capturing_withdraw(struct capturing *capturing, const char *by,
			enum capture_withdrawal withdrawal)
{
	struct keeper_report report;

	capturing_switch_off(capturing, by, withdrawal);
	while (capturing->keeper && capturing->answer_us != CAPTURING_NEVER) {
		if (keeper_wait(capturing->keeper, &report, CAPTURING_END_MS) <= 0)
			break;
		capturing_obey(capturing, &report);
	}
}

void capturing_dismiss_keeper(struct capturing *capturing)
{
	if (!capturing->keeper || capturing->clear_us != CAPTURING_NEVER ||
	    capturing->answer_us != CAPTURING_NEVER || capturing_has_rules(capturing))
		return;
	capturing_stop_keeper(capturing, CAPTURING_END_MS);
}
