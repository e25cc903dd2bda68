// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/control.h>
#include <ksplit/version.h>

#include "command.h"
#include "format.h"
#include "watch.h"

#define WATCH_DEFAULT 2
#define WATCH_MAX     3600

struct arguments {
	const struct command *command;
	const char *path;
	bool json, exit;
	unsigned int watch; /* seconds; 0: once */
};

static const char usage[] =
	"usage: ksplit-status [OPTION]... [summary | connections | kernel]\n"
	"\n"
	"Shows what ksplitd is doing. See ksplit-status(1).\n"
	"\n"
	"  summary            counters since the start (default)\n"
	"  connections        the open connections and what the kernel says of their sockets\n"
	"  kernel             what this kernel's TLS can do, and its counters\n"
	"\n"
	"  --control PATH     the daemon's socket (default " KSPLIT_CONTROL_PATH ")\n"
	"  --json             print the answer as JSON, numbers exact\n"
	"  --watch [SECONDS]  again and again (default every 2 s) until Ctrl-C\n"
	"  --help             this text\n"
	"  --version          the version\n"
	"\n"
	"Exit status: 0 up, 1 degraded (summary), 2 not reachable, 64 wrong usage.\n";

/* One line about a wrong argument; STATUS_USAGE. */
static int refuse(const char *argument, const char *what)
{
	char text[120];

	fprintf(stderr, "ksplit-status: %s: %s\n", text_safe(argument, text, sizeof(text)), what);
	return STATUS_USAGE;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int read_seconds(const char *text, unsigned int *seconds)
{
	unsigned long value;

	if (is_number(text) && strlen(text) <= 4) {
		value = strtoul(text, NULL, 10);
		if (value >= 1 && value <= WATCH_MAX) {
			*seconds = (unsigned int)value;
			return 0;
		}
	}
	return refuse("--watch", "expected a whole number of seconds from 1 to 3600");
}

/* The value of "--name=value", or NULL. */
static const char *value_of(const char *argument, const char *name)
{
	size_t len = strlen(name);

	return strncmp(argument, name, len) == 0 && argument[len] == '=' ? argument + len + 1
									 : NULL;
}

static int read_command(const char *argument, struct arguments *arguments)
{
	if (command_is_later(argument))
		return refuse(argument, "not supported yet by this version");
	if (arguments->command)
		return refuse(argument, "one command at a time");
	arguments->command = command_find(argument);
	if (!arguments->command)
		return refuse(argument, "unknown command, expected summary, connections or kernel");
	return 0;
}

/* --watch and --control, whose value may stand in the next argument. Moves *i past it. */
static int read_valued(int argc, char **argv, int *i, struct arguments *arguments)
{
	const char *argument = argv[*i];
	const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;

	if (value_of(argument, "--watch"))
		return read_seconds(value_of(argument, "--watch"), &arguments->watch);
	if (strcmp(argument, "--watch") == 0) {
		arguments->watch = WATCH_DEFAULT;
		if (!next || !is_number(next))
			return 0;
		++*i;
		return read_seconds(next, &arguments->watch);
	}
	arguments->path = value_of(argument, "--control");
	if (strcmp(argument, "--control") == 0) {
		arguments->path = next;
		++*i;
	} else if (!arguments->path) {
		return refuse(argument, "unknown option, see ksplit-status --help");
	}
	if (!arguments->path || !*arguments->path)
		return refuse("--control", "expected the path of a socket");
	return 0;
}

static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	int i, code = 0;

	for (i = 1; i < argc && !code && !arguments->exit; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			arguments->exit = true;
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("ksplit-status " KSPLIT_VERSION);
			arguments->exit = true;
		} else if (strcmp(argv[i], "--json") == 0) {
			arguments->json = true;
		} else if (argv[i][0] == '-') {
			code = read_valued(argc, argv, &i, arguments);
		} else {
			code = read_command(argv[i], arguments);
		}
	}
	if (!arguments->command)
		arguments->command = command_find(KSPLIT_COMMAND_SUMMARY);
	return code;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.path = KSPLIT_CONTROL_PATH};
	int code = read_arguments(argc, argv, &arguments);

	if (code)
		return code;
	if (!arguments.exit && arguments.watch)
		code = watch_run(arguments.command, arguments.path, arguments.json,
				 arguments.watch);
	else if (!arguments.exit)
		code = command_run(arguments.command, arguments.path, arguments.json, stdout,
				   stderr);
	if (fflush(stdout) != 0) {
		perror("ksplit-status: standard output");
		return STATUS_UNREACHABLE;
	}
	return code;
}
