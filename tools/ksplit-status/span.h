/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STATUS_SPAN_H
#define KSPLIT_STATUS_SPAN_H

#include <cJSON.h>
#include <stddef.h>

/* A member of a row in ms as a span of time in whole seconds; "-" where it is null. Returns buf. */
const char *span_print(const cJSON *row, const char *member, char *buf, size_t len);

/* For struct row_key: the smallest first; null last. */
double span_smallest(const cJSON *row, const char *member);

#endif
