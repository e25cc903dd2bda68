/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_SETTING_H
#define KSPLIT_CORE_CONFIG_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/*
 * One table of everything that is a single value, so that file and command line know the same
 * settings, check them alike and say the same about a wrong one.
 */

enum config_setting_type {
	SETTING_TEXT,        /* char * */
	SETTING_CHOICE,      /* an enum whose values are the positions in `choices` */
	SETTING_CHOICE_TEXT, /* char *, one of `choices` */
	SETTING_NUMBER,      /* uint32_t from min to max */
	SETTING_BOOL,
};

struct config_setting {
	const char *key;    /* in the file, sections joined by dots */
	const char *option; /* on the command line, without the dashes; NULL: file only */
	enum config_setting_type type;
	size_t offset;              /* in struct config */
	const char *const *choices; /* ends with NULL */
	uint32_t min, max;
	bool may_be_empty; /* SETTING_TEXT */
};

/* The table; ends with a NULL key. */
extern const struct config_setting config_settings[];

/* NULL when there is no such setting. */
const struct config_setting *config_setting_find_key(const char *key);
const struct config_setting *config_setting_find_option(const char *option);

/*
 * Set from text, from a number, from true or false, over what was set before. 0, -ENOMEM, or
 * -EINVAL; `why` then says what the value is and what is expected, to follow the name of the key or
 * option and a colon. set_text reads numbers too (decimal digits and nothing else).
 */
int config_setting_set_text(const struct config_setting *setting, struct config *config,
			    const char *text, char *why, size_t why_len);
int config_setting_set_number(const struct config_setting *setting, struct config *config,
			      double number, char *why, size_t why_len);
int config_setting_set_bool(const struct config_setting *setting, struct config *config, bool value,
			    char *why, size_t why_len);

/* "auto, splice, copy or user"; "a whole number from 0 to 1024". Returns buf. */
const char *config_setting_expected(const struct config_setting *setting, char *buf, size_t len);

#endif
