// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/tap_item.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct tap_item *tap_item_new(enum tap_what what, const void *bytes, size_t len)
{
	struct tap_item *item = malloc(sizeof(*item) + (bytes ? len : 0));

	if (!item)
		return NULL;
	*item = (struct tap_item){.what = what, .time_us = wall_us(), .len = len};
	if (bytes)
		memcpy(item->bytes, bytes, len);
	return item;
}

void tap_item_stamp(struct tap_item *item)
{
	item->time_us = wall_us();
}

void tap_item_free(struct tap_item *item)
{
	if (!item)
		return;
	if (!item->pipe)
		explicit_bzero(item->bytes, item->what == TAP_DATA ? item->len : 0);
	free(item);
}
