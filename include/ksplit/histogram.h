/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_HISTOGRAM_H
#define KSPLIT_HISTOGRAM_H

/*
 * Log-linear buckets, as in HdrHistogram: every power of two is cut into 2^bits equal parts, so
 * that a bucket is never wider than its value / 2^bits; values below 2^bits have a bucket each. The
 * kernel side (bits 2) and the daemon (bits 4) share the arithmetic. Needs __u32 and __u64.
 */

/* Bucket of a value: 0 ... (65 - bits) * 2^bits - 1. */
static inline __u32 ksplit_histogram_bucket(__u64 value, __u32 bits)
{
	__u32 power = 0;
	__u64 v = value;

	if (value < (1ULL << bits))
		return (__u32)value;
	/* The position of the highest bit, without a builtin that BPF lacks. */
	if (v >> 32) {
		power += 32;
		v >>= 32;
	}
	if (v >> 16) {
		power += 16;
		v >>= 16;
	}
	if (v >> 8) {
		power += 8;
		v >>= 8;
	}
	if (v >> 4) {
		power += 4;
		v >>= 4;
	}
	if (v >> 2) {
		power += 2;
		v >>= 2;
	}
	if (v >> 1)
		power += 1;
	return ((power - bits + 1) << bits) +
	       (__u32)((value >> (power - bits)) & ((1U << bits) - 1));
}

/* The least value of a bucket; the next bucket's is one above this one's greatest. */
static inline __u64 ksplit_histogram_floor(__u32 bucket, __u32 bits)
{
	__u32 power = bucket >> bits;

	if (power == 0)
		return bucket;
	return ((1ULL << bits) + (bucket & ((1U << bits) - 1))) << (power - 1);
}

#endif
