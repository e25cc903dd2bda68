/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TOOLS_FORMAT_H
#define KSPLIT_TOOLS_FORMAT_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FORMAT_COLUMNS 80

/*
 * Members of an object, tolerant of an older daemon: a member that is missing or of another type
 * gives NULL, "" or 0. `object` may be NULL. Strings and nodes stay the object's own.
 */
const cJSON *json_member(const cJSON *object, const char *name);
const char *json_text(const cJSON *object, const char *name);
double json_number(const cJSON *object, const char *name);
bool json_true(const cJSON *object, const char *name);

/* Text from the network: not printable as \xNN, cut with "..." when longer than `len`. Returns buf.
 */
const char *text_safe(const char *text, char *buf, size_t len);

/* For people; each returns buf, for which FORMAT_NUMBER bytes are enough. */
#define FORMAT_NUMBER 32
const char *format_count(double count, char *buf, size_t len);  /* "1,234,567" */
const char *format_bytes(double bytes, char *buf, size_t len);  /* "512 B", "1.25 GiB" */
const char *format_short(double number, char *buf, size_t len); /* "950", "1.2k", "3.4M", "0.2" */
const char *format_time(double ms, char *buf, size_t len);      /* "85 us", "3.4 ms", "1.25 s" */
/* A part of a whole in percent: "0.3%", "100%", "-" for none. */
const char *format_share(double part, double whole, char *buf, size_t len);
const char *format_duration(double ms, char *buf,
			    size_t len); /* "250 ms", "3 min 20 s", "2 d 4 h" */

/* Print `text` broken at spaces into lines that end before FORMAT_COLUMNS; the first continues at
 * `column`, further ones are indented to it. Ends with a newline. */
void format_wrapped(FILE *out, size_t column, const char *text);

/*
 * A list of "name value" that goes on in a new line, indented alike, when a line is full.
 * Start with a label ("Bytes"), add pairs, end the line.
 */
struct format_pairs {
	FILE *out;
	size_t indent, column;
};
void format_pairs_start(struct format_pairs *pairs, FILE *out, const char *label);
void format_pairs_add(struct format_pairs *pairs, const char *name, const char *value);
void format_pairs_end(struct format_pairs *pairs);

#endif
