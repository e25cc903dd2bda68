/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_BYTE_WORDS_H
#define KSPLIT_OBSERVE_BYTE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Short texts, eight bytes at a time: heads are looked at once for every request, so that a few
 * instructions a byte would be most of what sampling costs. No byte's test depends on its place in
 * the word, so that it works in either byte order.
 */
#define BYTE_WORDS_ONES 0x0101010101010101ULL
#define BYTE_WORDS_HIGH (BYTE_WORDS_ONES << 7)

static inline uint64_t byte_words_load(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Non-zero when a byte is below `least` (at most 128), or above 0x7e. */
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

/* Are all bytes from `least` to 0x7e? */
static inline bool byte_words_are_inside(const char *at, size_t len, unsigned int least)
{
	uint64_t bad = 0;

	for (; len >= 8; at += 8, len -= 8)
		bad |= byte_words_outside(byte_words_load(at), least);
	for (; len; at++, len--)
		bad |= (unsigned char)*at < least || (unsigned char)*at > 0x7e;
	return !bad;
}

#endif
