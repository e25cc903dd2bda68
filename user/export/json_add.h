/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_JSON_ADD_H
#define KSPLIT_EXPORT_JSON_ADD_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Members for a cJSON object. All return false when memory ran out (`to` NULL counts as that), so
 * that a whole object is one chain of && and the caller throws away what is incomplete.
 */

/* Exact: cJSON's own numbers are doubles and print large ones with an exponent. */
bool json_add_u64(cJSON *to, const char *name, uint64_t value);

/* A duration in milliseconds, three decimals, from microseconds. */
bool json_add_ms(cJSON *to, const char *name, uint64_t microseconds);

bool json_add_bool(cJSON *to, const char *name, bool value);

/* A text of our own; NULL gives null. */
bool json_add_text(cJSON *to, const char *name, const char *text);

/*
 * A text that a peer chose, at most `len` bytes and shorter if a NUL comes first: what is not
 * printable UTF-8 becomes \xNN (ksplit_text_escape); cut after 1 KiB. Empty gives null.
 */
bool json_add_foreign(cJSON *to, const char *name, const char *text, size_t len);

/* Bytes in lower-case hexadecimal, at most 64. */
bool json_add_hex(cJSON *to, const char *name, const uint8_t *bytes, size_t len);

/* Wall clock in milliseconds since the epoch as RFC 3339 in UTC: "2026-01-31T12:00:00.123Z". */
bool json_add_time(cJSON *to, const char *name, int64_t wall_ms);

/* The same; 0: it never was, or nobody knows: null. */
bool json_add_moment(cJSON *to, const char *name, int64_t wall_ms);

/*
 * From one such moment to another as json_add_ms writes it, 0 where that is over; null where one of
 * them is 0.
 */
bool json_add_span(cJSON *to, const char *name, int64_t from_ms, int64_t to_ms);

/* A value that is made already, owned by `to` from now on (freed when that fails; NULL: no memory).
 */
bool json_add_item(cJSON *to, const char *name, cJSON *value);

#endif
