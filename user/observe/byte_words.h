/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BYTE_WORDS_H
#define KSPLIT_OBSERVE_BYTE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Short texts, eight bytes at a time: heads are looked at once for every request, so that a few
 * instructions a byte would be most of what sampling costs. Little-endian machines only, as
 * <ksplit/stream_scan.h>: the first byte is the lowest.
 */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian machines only"
#endif

#define BYTE_WORDS_ONES 0x0101010101010101ULL
#define BYTE_WORDS_HIGH (BYTE_WORDS_ONES << 7)

static inline uint64_t byte_words_load(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/*
 * Non-zero when a byte is below `least` (at most 128), or above 0x7e. The lowest bit that is set is
 * of the first one; what is carried on may set others behind it.
 */
static inline uint64_t byte_words_outside(uint64_t word, unsigned int least)
{
	return ((word - BYTE_WORDS_ONES * least) | (word + BYTE_WORDS_ONES) | word) &
	       BYTE_WORDS_HIGH;
}

/* Non-zero when a byte is `byte`. */
static inline uint64_t byte_words_with(uint64_t word, char byte)
{
	word ^= BYTE_WORDS_ONES * (unsigned char)byte;
	return (word - BYTE_WORDS_ONES) & ~word & BYTE_WORDS_HIGH;
}

/* A word of ASCII with its capitals in lower case. */
static inline uint64_t byte_words_lower(uint64_t word)
{
	uint64_t from_a = word + BYTE_WORDS_ONES * (0x80 - 'A');
	uint64_t after_z = word + BYTE_WORDS_ONES * (0x80 - 'Z' - 1);

	return word | (from_a & ~after_z & BYTE_WORDS_HIGH) >> 2;
}

/* The `len` bytes (1 to 7) of a text's end; the rest of the word is letters. */
static inline uint64_t byte_words_load_end(const char *at, size_t len)
{
	const uint64_t letters = BYTE_WORDS_ONES * 'a';
	uint64_t word = 0;

	if (len >= 4) {
		uint32_t low, high;

		memcpy(&low, at, sizeof(low));
		memcpy(&high, at + len - 4, sizeof(high));
		return low | (uint64_t)high << 8 * (len - 4) | letters << 8 * len;
	}
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)(unsigned char)at[i] << 8 * i;
	return word | letters << 8 * len;
}

/* The first byte below `least` or above 0x7e, or `end`. */
static inline const char *byte_words_find_outside(const char *at, const char *end,
						  unsigned int least)
{
	for (; end - at >= 8; at += 8) {
		uint64_t bad = byte_words_outside(byte_words_load(at), least);

		if (bad)
			return at + __builtin_ctzll(bad) / 8;
	}
	while (at < end && (unsigned char)*at >= least && (unsigned char)*at <= 0x7e)
		at++;
	return at;
}

#endif
