// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/deadline.h"

#include <limits.h>
#include <stddef.h>

void deadlines_init(struct deadlines *deadlines, const uint32_t length_ms[DEADLINE_KINDS])
{
	for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
		TAILQ_INIT(&deadlines->queues[kind]);
		deadlines->length_us[kind] = (uint64_t)length_ms[kind] * 1000;
	}
}

void deadlines_change(struct deadlines *deadlines, const uint32_t length_ms[DEADLINE_KINDS],
		      uint64_t now_us)
{
	for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
		const uint64_t length_us = (uint64_t)length_ms[kind] * 1000;
		struct deadline *deadline;

		deadlines->length_us[kind] = length_us;
		TAILQ_FOREACH(deadline, &deadlines->queues[kind], link)
			if (deadline->at_us > now_us + length_us)
				deadline->at_us = now_us + length_us;
	}
}

void deadline_clear(struct deadlines *deadlines, struct deadline *deadline)
{
	if (deadline->set)
		TAILQ_REMOVE(&deadlines->queues[deadline->kind], deadline, link);
	deadline->set = false;
}

void deadline_set(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind,
		  uint64_t now_us)
{
	deadline_clear(deadlines, deadline);
	deadline->kind = kind;
	deadline->at_us = now_us + deadlines->length_us[kind];
	deadline->set = true;
	TAILQ_INSERT_TAIL(&deadlines->queues[kind], deadline, link);
}

void deadlines_expire_first(struct deadlines *deadlines, enum deadline_kind kind)
{
	struct deadline *first = TAILQ_FIRST(&deadlines->queues[kind]);

	if (!first)
		return;
	deadline_clear(deadlines, first);
	first->expired(first);
}

static void run_queue(struct deadlines *deadlines, struct deadline_queue *queue, uint64_t now_us)
{
	struct deadline *first;

	while ((first = TAILQ_FIRST(queue)) && first->at_us <= now_us) {
		deadline_clear(deadlines, first);
		first->expired(first);
	}
}

void deadlines_run(struct deadlines *deadlines, uint64_t now_us)
{
	for (int kind = 0; kind < DEADLINE_KINDS; kind++)
		run_queue(deadlines, &deadlines->queues[kind], now_us);
}

int deadlines_next_ms(const struct deadlines *deadlines, uint64_t now_us)
{
	uint64_t next = UINT64_MAX, wait_ms;

	for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
		const struct deadline *first = TAILQ_FIRST(&deadlines->queues[kind]);

		if (first && first->at_us < next)
			next = first->at_us;
	}
	if (next == UINT64_MAX)
		return -1;
	if (next <= now_us)
		return 0;
	wait_ms = (next - now_us + 999) / 1000;
	return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}
