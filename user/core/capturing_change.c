// SPDX-License-Identifier: GPL-2.0-or-later
/* Other rules in the place of those that are loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/rules_text.h"
#include "core/capturing_inner.h"
#include "core/log.h"
#include "core/server.h"

#define LOAD_MS 10000 /* large rulesets take seconds */

int capturing_make_texts(const struct capture *capture, char *texts[CAPTURING_TEXTS])
{
	int err = rules_text_make(capture, true, &texts[0]);

	if (!err)
		err = rules_text_make(capture, false, &texts[1]);
	if (!err)
		err = rules_text_make_open(capture, true, &texts[2]);
	return err ? err : rules_text_make_open(capture, false, &texts[3]);
}

/* The keeper's word on what it was told just now; what it says of before is heard, too. */
static int await_loaded(struct capturing *capturing, struct keeper_report *report, char *error,
			size_t error_len)
{
	while (capturing->keeper && keeper_wait(capturing->keeper, report, LOAD_MS) > 0) {
		if (report->event == KEEPER_LOADED)
			return 0;
		if (report->event == KEEPER_FAILED) {
			snprintf(error, error_len, "the rules could not be loaded: %.300s",
				 report->text);
			return -EIO;
		}
		capturing_obey(capturing, report);
	}
	snprintf(error, error_len, "the keeper of the rules did not answer");
	if (capturing->keeper)
		capturing_lose_keeper(capturing, error);
	return -ETIMEDOUT;
}

static int load(struct capturing *capturing, char *const texts[CAPTURING_TEXTS],
		struct keeper_report *report, char *error, size_t error_len)
{
	const struct keeper_rules rules = {
		.owned = texts[0],
		.plain = texts[1],
		.open_owned = texts[2],
		.open_plain = texts[3],
	};
	int err = keeper_load(capturing->keeper, &rules);

	if (err) {
		snprintf(error, error_len, "the keeper of the rules takes no orders");
		capturing_lose_keeper(capturing, error);
		return err;
	}
	return await_loaded(capturing, report, error, error_len);
}

static int replace(struct capturing *capturing, char *const texts[CAPTURING_TEXTS], char *error,
		   size_t error_len)
{
	struct keeper_report report;
	int err = load(capturing, texts, &report, error, error_len);

	if (err)
		return err;
	pthread_mutex_lock(&capturing->lock);
	capturing->status.loaded++;
	pthread_mutex_unlock(&capturing->lock);
	log_info("capture: other rules are loaded");
	return 0;
}

/* --- the first rules, and none any more --- */

/*
 * A keeper that is still there for open connections has a table, and keeps it: a second one would
 * take away what they need, or be in its way.
 */
static int settle_table(struct capturing *capturing, struct capture *next, char *error,
			size_t error_len)
{
	char *name;

	if (!capturing->keeper)
		return capturing_name_table(capturing->server, next, error, error_len);
	name = strdup(capturing->capture->table);
	if (!name)
		return -ENOMEM;
	free(next->table);
	next->table = name;
	next->watchdog = capturing->capture->watchdog;
	return 0;
}

int capturing_can_begin(const struct capture *capture, char *why, size_t why_len)
{
	return capturing_can_mark(capture, why, why_len) ? 0 : -EPERM;
}

static int begin(struct capturing *capturing, char *const texts[CAPTURING_TEXTS], char *error,
		 size_t error_len)
{
	struct keeper_report report;
	int err = capturing_try(capturing, error, error_len) ? 0 : -EIO;

	if (!err) {
		err = capturing_start_keeper(capturing);
		snprintf(error, error_len, "cannot make the keeper's process: %s", strerror(-err));
	}
	if (!err)
		err = load(capturing, texts, &report, error, error_len);
	if (err)
		return err;
	snprintf(capturing->by, sizeof(capturing->by), "reload");
	capturing->wanted = true;
	capturing->clear_us = CAPTURING_NEVER;
	capturing->beat_us = worker_clock_us();
	capturing_obey(capturing, &report);
	return 0;
}

/* Calls that are under way by then are none of the next generation's, and must not be captured. */
static int begin_marked(struct capturing *capturing, char *const texts[CAPTURING_TEXTS],
			char *error, size_t error_len)
{
	_Atomic uint32_t *own_mark = &capturing->server->own_mark;
	const uint32_t before = atomic_exchange(own_mark, capturing->capture->mark);
	int err = begin(capturing, texts, error, error_len);

	if (!err)
		return 0;
	atomic_store(own_mark, before);
	capturing_dismiss_keeper(capturing);
	return err;
}

static void leave(struct capturing *capturing)
{
	capturing_withdraw(capturing, "reload", CAPTURE_BY_COMMAND);
	capturing_set_state(capturing, CAPTURE_NOT_CONFIGURED, "reload", "");
	capturing_dismiss_keeper(capturing);
}

/* --- all of it --- */

/* Tried, and loaded where rules are loaded now. */
static int put_in_place(struct capturing *capturing, char *const texts[CAPTURING_TEXTS],
			char *error, size_t error_len)
{
	switch (capturing_state(capturing)) {
	case CAPTURE_ON:
		if (!capturing_try(capturing, error, error_len))
			return -EIO;
		return replace(capturing, texts, error, error_len);
	case CAPTURE_NOT_CONFIGURED: return begin_marked(capturing, texts, error, error_len);
	case CAPTURE_OFF:
	case CAPTURE_FAILED: return 0;
	default: break;
	}
	snprintf(error, error_len,
		 "capture is about to be switched on; ask again when it is "
		 "(ksplit-status capture)");
	return -EBUSY;
}

static void free_texts(char *texts[CAPTURING_TEXTS])
{
	for (size_t i = 0; i < CAPTURING_TEXTS; i++)
		free(texts[i]);
}

int capturing_change(struct capturing *capturing, const struct generation *next, char *error,
		     size_t error_len)
{
	const struct capture *before = capturing->capture;
	char *texts[CAPTURING_TEXTS] = {NULL}, *old[CAPTURING_TEXTS];
	int err = 0;

	if (!capture_has_rules(&next->config->capture)) {
		leave(capturing);
		return 0;
	}
	snprintf(error, error_len, "capture: out of memory");
	if (!capturing_has_rules(capturing))
		err = settle_table(capturing, &next->config->capture, error, error_len);
	if (!err)
		err = capturing_make_texts(&next->config->capture, texts);
	if (!err) {
		capturing->capture = &next->config->capture;
		capturing->next_ca = next->issuer->ca;
		err = put_in_place(capturing, texts, error, error_len);
		capturing->next_ca = NULL;
	}
	if (err) {
		capturing->capture = before;
		free_texts(texts);
		return err;
	}
	memcpy(old, capturing->texts, sizeof(old));
	memcpy(capturing->texts, texts, sizeof(texts));
	free_texts(old);
	return 0;
}
