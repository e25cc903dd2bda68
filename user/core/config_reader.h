/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_READER_H
#define KSPLIT_CORE_CONFIG_READER_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/*
 * What the readers of sections share: walking objects and lists while the line is known, and the
 * form of a refusal, "FILE:LINE: "KEY": what is wrong, what is expected". A key is the whole name,
 * "capture.outgoing.ports[1]".
 */

#define CONFIG_READER_DEPTH 8
#define CONFIG_READER_NAME  100 /* bytes of a member's name that become a part of a key */

/* One file on its way into a struct config. */
struct config_reader {
	struct config *config;
	const char *path;
	const char *text;                 /* comments blanked */
	size_t step[CONFIG_READER_DEPTH]; /* where we are, see json_text_line_of */
	size_t depth;
	char *error;
	size_t error_len;
};

/* Reads one value into `out`; 0 or what config_reader_fail gave (-ENOMEM: also by itself). */
typedef int config_reader_fn(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out);

/* A member of an object: its name, who reads it, and where it goes behind `base`. */
struct config_field {
	const char *name;
	config_reader_fn *read;
	size_t offset;
};

/* "FILE:LINE: message" with the line of what is being read, into the reader's error; -EINVAL. */
int config_reader_fail(struct config_reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The line of what is being read, for a later complaint. */
size_t config_reader_line(const struct config_reader *reader);

/* "a string", "a number", "true", "an object" ... */
const char *config_reader_type_name(const cJSON *value);

/*
 * Read an object by a table of fields that ends with a NULL name. Refused are anything but an
 * object, a name given twice and an unknown one, with the nearest that there is. `key` is the
 * object's own.
 */
int config_reader_object(struct config_reader *reader, const cJSON *object, const char *key,
			 const struct config_field *fields, void *base);

/* Call `read` for each element of a list of at most `max`. Refused is anything but a list. */
int config_reader_list(struct config_reader *reader, const cJSON *list, const char *key, size_t max,
		       config_reader_fn *read, void *out);

/*
 * Visit the members of an object, with the step kept and names given twice refused: for those that
 * need more than a table. `read` gets each member (its name is member->string) and the whole key.
 * `key` "" is the outermost object.
 */
int config_reader_members(struct config_reader *reader, const cJSON *object, const char *key,
			  config_reader_fn *read, void *out);

/* A single value. text: not empty, owned by the JSON; number: whole, from min to max. */
int config_reader_text(struct config_reader *reader, const cJSON *value, const char *key,
		       const char **out);
/* The same into a char * of the caller's, which is then owned (free); fits struct config_field. */
int config_reader_string(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out);
int config_reader_number(struct config_reader *reader, const cJSON *value, const char *key,
			 uint32_t min, uint32_t max, uint32_t *out);
/* `out` is a bool; fits struct config_field. */
int config_reader_bool(struct config_reader *reader, const cJSON *value, const char *key,
		       void *out);

#endif
