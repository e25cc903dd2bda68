// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ksplit/text.h>

#define LONGEST_NAME 32

void config_error_set(char *error, size_t error_len, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	va_end(args);
	ksplit_text_escape(error, error_len, text, strlen(text));
}

/* Levenshtein distance of two names no longer than LONGEST_NAME. */
static size_t name_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[LONGEST_NAME + 1], i, j, diagonal, above, best;

	for (j = 0; j <= b_len; j++)
		row[j] = j;
	for (i = 1; i <= a_len; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			above = row[j];
			best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b_len];
}

void config_suggestion_offer(struct config_suggestion *suggestion, const char *name, size_t len)
{
	size_t word_len = strlen(suggestion->word), distance;

	if (word_len > LONGEST_NAME || len > LONGEST_NAME)
		return;
	distance = name_distance(suggestion->word, word_len, name, len);
	/* Further away than this the suggestion would be a guess. */
	if (distance > 1 + word_len / 4)
		return;
	if (suggestion->name && distance >= suggestion->distance)
		return;
	suggestion->name = name;
	suggestion->name_len = len;
	suggestion->distance = distance;
}
