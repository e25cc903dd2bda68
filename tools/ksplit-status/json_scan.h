/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_JSON_SCAN_H
#define KSPLIT_STATUS_JSON_SCAN_H

/*
 * Steps through the text of valid JSON, for what a parsed tree has lost: numbers as they were
 * written. None goes beyond the end of the text.
 */
const char *json_skip_space(const char *p);

/* From an opening quote to behind the closing one. */
const char *json_skip_string(const char *p);

/* From the first byte of a value of any kind to behind its last. */
const char *json_skip_value(const char *p);

/* The value of a member of the object at `p`; the end of the text when there is none. */
const char *json_find(const char *p, const char *name);

#endif
