// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/tap_status.h"

const char *tap_kind_name(enum tap_kind kind)
{
	static const char *const names[TAP_KINDS] = {
		[TAP_KEYLOG] = "keylog", [TAP_CONTENT] = "content", [TAP_PCAPNG] = "pcapng"};

	return names[kind];
}
