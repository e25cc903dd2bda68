// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/histogram.h"

#include <errno.h>
#include <linux/types.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/histogram.h>

#define BITS HISTOGRAM_BITS

/* The window grows in steps of this many buckets, half a power of two: fewer calls of malloc. */
#define WINDOW_STEP 8

/* Least and greatest value of a bucket. Of the last one the next floor is 2^64, that is 0. */
static uint64_t bucket_floor(uint32_t bucket)
{
	return ksplit_histogram_floor(bucket, BITS);
}

static uint64_t bucket_ceiling(uint32_t bucket)
{
	return ksplit_histogram_floor(bucket + 1, BITS) - 1;
}

static uint32_t saturated_u32(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint64_t saturated_u64(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void histogram_init(struct histogram *h)
{
	*h = (struct histogram){0};
}

void histogram_free(struct histogram *h)
{
	free(h->counts);
	histogram_init(h);
}

/* Make the window hold buckets low ... high. */
static int window_reserve(struct histogram *h, uint32_t low, uint32_t high)
{
	uint32_t first = low - low % WINDOW_STEP;
	uint32_t end = high - high % WINDOW_STEP + WINDOW_STEP;
	uint32_t *counts;

	if (h->len > 0 && h->first <= low && high < h->first + h->len)
		return 0;
	if (h->len > 0) {
		first = h->first < first ? h->first : first;
		end = h->first + h->len > end ? h->first + h->len : end;
	}
	counts = calloc(end - first, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	if (h->len > 0)
		memcpy(counts + (h->first - first), h->counts, h->len * sizeof(*counts));
	free(h->counts);
	h->counts = counts;
	h->first = first;
	h->len = end - first;
	return 0;
}

int histogram_reserve(struct histogram *h)
{
	return window_reserve(h, 0, ksplit_histogram_bucket(UINT64_MAX, BITS));
}

int histogram_add(struct histogram *h, uint64_t value)
{
	uint32_t bucket = ksplit_histogram_bucket(value, BITS);
	uint32_t *count;

	/* One comparison: below the window it is a great number. */
	if (bucket - h->first >= h->len && window_reserve(h, bucket, bucket))
		return -ENOMEM;
	count = &h->counts[bucket - h->first];
	*count = saturated_u32(*count, 1);
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (h->count == 0 || value > h->max)
		h->max = value;
	h->count++;
	h->sum = saturated_u64(h->sum, value);
	h->sum_of_squares += (double)value * (double)value;
	return 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return 0;
	if (window_reserve(into, from->first, from->first + from->len - 1))
		return -ENOMEM;
	for (uint32_t i = 0; i < from->len; i++) {
		uint32_t *count = &into->counts[from->first + i - into->first];

		*count = saturated_u32(*count, from->counts[i]);
	}
	if (into->count == 0 || from->min < into->min)
		into->min = from->min;
	if (into->count == 0 || from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum = saturated_u64(into->sum, from->sum);
	into->sum_of_squares += from->sum_of_squares;
	return 0;
}

int histogram_copy(struct histogram *to, const struct histogram *from)
{
	histogram_init(to);
	if (from->count == 0)
		return 0;
	return histogram_merge(to, from);
}

double histogram_average(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}

double histogram_std_dev(const struct histogram *h)
{
	double average = histogram_average(h);
	double variance;

	if (h->count == 0)
		return 0;
	variance = h->sum_of_squares / (double)h->count - average * average;
	/* Equal values can come out a rounding error below nought. */
	return variance > 0 ? sqrt(variance) : 0;
}

/* As counted in the buckets: less than `count` once one is saturated. */
static uint64_t bucket_total(const struct histogram *h)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < h->len; i++)
		total += h->counts[i];
	return total;
}

static double clamp(double value, double low, double high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

/*
 * The value a `share` (0 to 1) into a bucket. Whatever the bucket really holds is less than one
 * part in 32 away from its middle, but up to one in 16 from its ends: so interpolation goes only as
 * far as the promised error allows for every value that may be there.
 */
static double bucket_interpolate(uint32_t bucket, double share)
{
	double low = (double)bucket_floor(bucket);
	double high = (double)bucket_ceiling(bucket);

	return clamp(low + (high - low) * share, high * 31 / 32, low * 33 / 32);
}

double histogram_quantile(const struct histogram *h, double q)
{
	uint64_t total = bucket_total(h), before = 0;
	double rank;

	if (h->count == 0)
		return 0;
	if (!(q > 0)) /* not a number, too */
		return (double)h->min;
	if (q >= 1)
		return (double)h->max;
	rank = clamp(ceil(q * (double)total), 1, (double)total);
	for (uint32_t i = 0; i < h->len; i++) {
		uint32_t count = h->counts[i];
		double value;

		before += count;
		if (count == 0 || (double)before < rank)
			continue;
		value = bucket_interpolate(h->first + i,
					   1 - ((double)before - rank + 0.5) / (double)count);
		return clamp(value, (double)h->min, (double)h->max);
	}
	return (double)h->max;
}

uint64_t histogram_count_up_to(const struct histogram *h, uint64_t value)
{
	uint32_t bucket = ksplit_histogram_bucket(value, BITS);
	uint64_t sum = 0, low = bucket_floor(bucket), high = bucket_ceiling(bucket);

	if (h->len == 0 || bucket < h->first)
		return 0;
	/* Neither least nor greatest value narrow a bucket here: an exported count must never go
	 * down when another value comes. */
	if (bucket >= h->first + h->len || (bucket == h->first + h->len - 1 && value == high))
		return h->count;
	for (uint32_t i = 0; i < bucket - h->first; i++)
		sum += h->counts[i];
	if (value == high)
		return sum + h->counts[bucket - h->first];
	return sum + (uint64_t)((double)h->counts[bucket - h->first] * (double)(value - low + 1) /
				(double)(high - low + 1));
}

size_t histogram_memory(const struct histogram *h)
{
	return h->len * sizeof(*h->counts);
}
