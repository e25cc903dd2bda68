// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/capture_status.h"

const char *capture_state_name(enum capture_state state)
{
	static const char *const names[] = {
		[CAPTURE_NOT_CONFIGURED] = "not_configured",
		[CAPTURE_STARTING] = "starting",
		[CAPTURE_ON] = "on",
		[CAPTURE_OFF] = "off",
		[CAPTURE_WITHDRAWN] = "withdrawn",
		[CAPTURE_FAILED] = "failed",
	};

	return names[state];
}

const char *capture_withdrawal_name(enum capture_withdrawal withdrawal)
{
	static const char *const names[] = {
		[CAPTURE_BY_COMMAND] = "command",
		[CAPTURE_BY_WATCHDOG] = "watchdog",
		[CAPTURE_BY_KEEPER] = "keeper",
		[CAPTURE_BY_END] = "end",
	};

	return names[withdrawal];
}
