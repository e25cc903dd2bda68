// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/tap_target.h"

#include <stdlib.h>
#include <unistd.h>

void tap_target_free(struct tap_target *target)
{
	if (target && target->fd >= 0)
		close(target->fd);
	free(target);
}
