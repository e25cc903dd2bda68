/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HISTOGRAM_H
#define KSPLIT_OBSERVE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A mergeable histogram of microseconds (or bytes), log-linear with 16 buckets to a power of two
 * (<ksplit/histogram.h>, bits 4): a quantile is wrong by at most one part in 32. Only the window of
 * buckets that is in use takes memory.
 */
#define HISTOGRAM_BITS 4

struct histogram {
	uint32_t *counts; /* owned; counts[i] is bucket first + i */
	uint32_t first, len;
	uint64_t count, sum, min, max; /* exact; min 0 when count is 0 */
	double sum_of_squares;
};

/* Start empty ({0} is the same); give the memory back. */
void histogram_init(struct histogram *h);
void histogram_free(struct histogram *h);

/* 0 or -ENOMEM (nothing changed). */
int histogram_add(struct histogram *h, uint64_t value);
int histogram_merge(struct histogram *into, const struct histogram *from);
/* `to` is initialised by it. */
int histogram_copy(struct histogram *to, const struct histogram *from);

/* Take the memory of all buckets, so that nothing fails later. 0 or -ENOMEM (nothing changed). */
int histogram_reserve(struct histogram *h);

/* 0 when empty. quantile: q from 0 to 1, interpolated within the bucket, within [min, max]. */
double histogram_average(const struct histogram *h);
double histogram_std_dev(const struct histogram *h); /* of the population */
double histogram_quantile(const struct histogram *h, double q);

/* How many values are at most `value` (a bucket that straddles it counts by its share). */
uint64_t histogram_count_up_to(const struct histogram *h, uint64_t value);

/* Bytes of memory behind it, beside the struct itself. */
size_t histogram_memory(const struct histogram *h);

#endif
