/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_JSON_TEXT_H
#define KSPLIT_CORE_JSON_TEXT_H

#include <stddef.h>

/*
 * What cJSON does not do for a file that people write: comments, strictness in what RFC 8259 leaves
 * no choice, and the line of a value. Lines count from 1; texts are terminated by a NUL at
 * text[len].
 */

/*
 * Overwrite comments (from // to the end of the line, and slash-star to star-slash) with blanks;
 * newlines stay, so that lines keep their numbers. Strings are respected. 0, or -EINVAL with the
 * line at which a comment starts that does not end.
 */
int json_text_blank_comments(char *text, size_t len, size_t *line);

/*
 * Refuse what cJSON lets pass: invalid UTF-8, control characters (also \u0000, which would cut a
 * string short) and numbers such as 007 or 1. that RFC 8259 section 6 does not have. 0, or -EINVAL
 * with the line and a static sentence.
 */
int json_text_check(const char *text, size_t len, size_t *line, const char **what);

/* The line in which text[offset] stands. */
size_t json_text_line(const char *text, size_t offset);

/*
 * The line of a member's name or of an array's element in a text that a JSON parser has accepted.
 * `path` leads there from the outermost value: at each of `depth` steps the position among the
 * members or elements, from 0. A path that leads nowhere gives the line of its last good step.
 */
size_t json_text_line_of(const char *text, const size_t *path, size_t depth);

#endif
