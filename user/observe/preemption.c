// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/preemption.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define MODE_FILE "/sys/kernel/debug/sched/preempt"

bool preemption_told(const char *mode, const char *version)
{
	/* "none (voluntary) full lazy": the one in brackets is in force. */
	if (mode && strchr(mode, '('))
		return !strstr(mode, "(none)") && !strstr(mode, "(voluntary)");
	/* Without the word the kernel was built without it (init/Makefile, UTS_VERSION). */
	return !version || strstr(version, "PREEMPT");
}

bool preemption_possible(void)
{
	char mode[128] = "";
	struct utsname name;
	FILE *file = fopen(MODE_FILE, "re");
	bool known = false;

	if (file) {
		known = fgets(mode, sizeof(mode), file);
		fclose(file);
	}
	return preemption_told(known ? mode : NULL, uname(&name) ? NULL : name.version);
}
