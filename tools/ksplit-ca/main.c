// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "options.h"
#include "say.h"

/* A key passes through this process: neither a core file nor another process may have it. */
static void memory_protect(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	struct options options;
	int code;

	memory_protect();
	code = options_read(argc, argv, &options);
	if (!code && options.command)
		code = options.command->run(&options);
	options_free(&options);
	if (fflush(stdout) != 0)
		return say_error(CA_FAILED, "standard output: %s", strerror(errno));
	return code;
}
