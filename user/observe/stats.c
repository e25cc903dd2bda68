// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/stats.h"

void stats_sum_add(struct stats_sum *sum, const struct stats *stats)
{
	for (int i = 0; i < STAT_COUNT; i++)
		sum->counters[i] += atomic_load_explicit(&stats->counters[i], memory_order_relaxed);
	for (int i = 0; i < KSPLIT_REASON_COUNT; i++)
		sum->reasons[i] += atomic_load_explicit(&stats->reasons[i], memory_order_relaxed);
}

const char *stats_group(enum stats_counter counter)
{
#define STATS_GROUP(id, group, name) [STAT_##id] = group,
	static const char *const groups[] = {STATS_COUNTERS(STATS_GROUP)};
#undef STATS_GROUP
	return (unsigned int)counter < STAT_COUNT ? groups[counter] : "unknown";
}

const char *stats_name(enum stats_counter counter)
{
#define STATS_NAME(id, group, name) [STAT_##id] = name,
	static const char *const names[] = {STATS_COUNTERS(STATS_NAME)};
#undef STATS_NAME
	return (unsigned int)counter < STAT_COUNT ? names[counter] : "unknown";
}
