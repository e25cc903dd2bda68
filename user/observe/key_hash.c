// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/key_hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define PRIME ((1ULL << 61) - 1)
#define WORD  7 /* bytes, so that a word is less than the prime */

void key_hash_init(struct key_hash *hash)
{
	struct timespec now;
	uint64_t random;

	/* Kernels since 3.17 have getrandom; where a filter forbids it a guess is still hard. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		random = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15 ^ (uintptr_t)hash;
	}
	hash->point = random % (PRIME - 2) + 2;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);

	return sum >= PRIME ? sum - PRIME : sum;
}

/* The next bytes of a key, as a number in the machine's order. */
static uint64_t load(const uint8_t *p, size_t len)
{
	static const uint8_t first[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint64_t word = 0, mask;

	if (len > WORD) {
		/* One load and a mask instead of seven bytes. */
		memcpy(&word, p, sizeof(word));
		memcpy(&mask, first, sizeof(mask));
		return word & mask;
	}
	memcpy(&word, p, len);
	return word;
}

/* The polynomial's next coefficient. */
static uint64_t push(const struct key_hash *hash, uint64_t value, uint64_t word)
{
	value = multiply(value, hash->point) + word;
	return value >= PRIME ? value - PRIME : value;
}

uint64_t key_hash_add(const struct key_hash *hash, uint64_t value, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	value = push(hash, value, len + 1);
	while (len > 0) {
		size_t n = len < WORD ? len : WORD;

		value = push(hash, value, load(p, len));
		p += n;
		len -= n;
	}
	return value;
}

uint64_t key_hash_end(const struct key_hash *hash, uint64_t value)
{
	/* 61 bits are spread over 64: tables take their index from either end. */
	value = multiply(value, hash->point);
	return value * 0x9e3779b97f4a7c15 ^ value >> 29;
}

uint64_t key_hash_of(const struct key_hash *hash, const void *bytes, size_t len)
{
	return key_hash_end(hash, key_hash_add(hash, 0, bytes, len));
}
