// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/keylog.h"

#include "tap/private_file.h"

static void write_line(struct keylog *log, const struct tap_item *item)
{
	int err = private_file_add(log->target->fd, item->bytes, item->len);

	if (err)
		tap_told_failure(log->told, log->target->path, err);
	tap_told_count(log->told, err ? 0 : item->len, err ? 1 : 0);
}

void keylog_handle(void *ctx, struct tap_item *item)
{
	struct keylog *log = ctx;

	if (item->what == TAP_ADOPT) {
		tap_target_free(log->target);
		log->target = item->object;
		if (log->target)
			tap_told_file(log->told);
	} else if (item->what == TAP_DATA && log->target) {
		write_line(log, item);
	}
}
