// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/rate.h"

#define SLOTS (RATE_SECONDS + 1)

/* Forget what is older than the window. */
static void rate_turn(struct rate *rate, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;

	if (second <= rate->second)
		return;
	if (second - rate->second >= SLOTS)
		*rate = (struct rate){.second = second};
	while (rate->second < second)
		rate->slots[++rate->second % SLOTS] = 0;
}

void rate_add(struct rate *rate, uint64_t now_ms)
{
	rate_turn(rate, now_ms);
	rate->slots[rate->second % SLOTS]++;
}

void rate_merge(struct rate *into, const struct rate *from, uint64_t now_ms)
{
	struct rate turned = *from;

	rate_turn(into, now_ms);
	rate_turn(&turned, now_ms);
	for (int i = 0; i < SLOTS; i++)
		into->slots[i] += turned.slots[i];
}

double rate_read(const struct rate *rate, uint64_t now_ms)
{
	struct rate turned = *rate;
	double sum = 0, left;

	rate_turn(&turned, now_ms);
	for (int i = 0; i < SLOTS; i++)
		sum += turned.slots[i];
	/* The newest second is only begun; of the oldest one that much has left the window. */
	left = (double)(now_ms % 1000) / 1000;
	sum -= left * turned.slots[(turned.second + 1) % SLOTS];
	return sum / RATE_SECONDS;
}
