/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SERIES_KEY_H
#define KSPLIT_OBSERVE_SERIES_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/address_key.h"
#include "observe/aggregate.h"

/* Room for the longest packed key: numbers, address, and five strings with their NUL. */
#define SERIES_KEY_PACKED_MAX                                                                      \
	(32 + ADDRESS_KEY_LEN + 256 + OBSERVE_METHOD_MAX + URI_TEMPLATE_MAX + 16 + 128)

/* As much of `from` as fits, in printable ASCII, "?" for what is not; in lower case if wanted. */
void series_key_copy_text(char *to, size_t size, const char *from, size_t len, bool lower);

/* The series that a request belongs to; the rules are above struct series_key. */
void series_key_fill(struct series_key *key, const struct observe_conn *conn,
		     const struct observe_request *request);

/*
 * A key as few bytes that are equal when, and only when, the keys are: what tables keep and
 * compare. Returns the length.
 */
size_t series_key_pack(const struct series_key *key, uint8_t packed[SERIES_KEY_PACKED_MAX]);
void series_key_unpack(const uint8_t *packed, struct series_key *key);

#endif
