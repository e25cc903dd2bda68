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
static int await_loaded(struct capturing *capturing, char *error, size_t error_len)
{
	struct keeper_report report;

	while (capturing->keeper && keeper_wait(capturing->keeper, &report, LOAD_MS) > 0) {
		if (report.event == KEEPER_LOADED)
			return 0;
		if (report.event == KEEPER_FAILED) {
			snprintf(error, error_len, "the rules could not be loaded: %.300s",
				 report.text);
			return -EIO;
		}
		capturing_obey(capturing, &report);
	}
	snprintf(error, error_len, "the keeper of the rules did not answer");
	if (capturing->keeper)
		capturing_lose_keeper(capturing, error);
	return -ETIMEDOUT;
}

static int load(struct capturing *capturing, char *const texts[CAPTURING_TEXTS], char *error,
		size_t error_len)
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
	err = await_loaded(capturing, error, error_len);
	if (err)
		return err;
	pthread_mutex_lock(&capturing->lock);
	capturing->status.loaded++;
	pthread_mutex_unlock(&capturing->lock);
	log_info("capture: other rules are loaded");
	return 0;
}

/* Tried, and loaded where rules are loaded now. */
static int put_in_place(struct capturing *capturing, char *const texts[CAPTURING_TEXTS],
			char *error, size_t error_len)
{
	switch (capturing_state(capturing)) {
	case CAPTURE_ON:
		if (!capturing_try(capturing, error, error_len))
			return -EIO;
		return load(capturing, texts, error, error_len);
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
	int err = capturing_make_texts(&next->config->capture, texts);

	snprintf(error, error_len, "capture: %s", strerror(-err));
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
