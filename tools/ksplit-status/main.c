// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/control.h>
#include <ksplit/version.h>

#include "command.h"
#include "format.h"
#include "view.h"
#include "watch.h"

#define WATCH_DEFAULT 2
#define WATCH_MAX     3600

struct arguments {
	const struct command *command;
	const char *path;
	struct view view;
	const char *sort; /* a name, until the command is known */
	bool exit;
	unsigned int watch; /* seconds; 0: once */
};

static const char usage[] =
	"usage: ksplit-status [OPTION]... COMMAND\n"
	"\n"
	"Shows what ksplitd is doing. See ksplit-status(1).\n"
	"\n"
	"  summary            counters since the start (default)\n"
	"  connections        the open connections and what the kernel says of their sockets\n"
	"  endpoints          origins: connections, handshakes, round trips, kernel TLS\n"
	"  requests           requests by server, URI, status ...: how many, how slow\n"
	"  passes             what was passed through unread, and why\n"
	"  certs              the certificates that clients are shown\n"
	"  kernel             what this kernel's TLS can do, and what samples the plaintext\n"
	"  capture [on|off]   are rules and hook on that bring connections here? Switch them\n"
	"  taps [on|off [TAP]]\n"
	"                     what is written of keys and plaintext: keylog, content, pcapng\n"
	"  upgrade            have the program that is installed now take over, without a gap\n"
	"  reload             have ksplitd read its configuration again\n"
	"\n"
	"  --control PATH     the daemon's socket (default " KSPLIT_CONTROL_PATH ")\n"
	"  --sort KEY         of requests: count (default), throughput, latency, p50, p90, p99,\n"
	"                     max, first-byte, time, bytes, errors, status, uri, server, process;\n"
	"                     of endpoints: connections (default), open, throughput, requests,\n"
	"                     errors, failed, bytes, connect, handshake, rtt, retransmits, ktls,\n"
	"                     server; of passes: last (default), count, expires, reason, name;\n"
	"                     of certs: expires (default), name, names, kind, state\n"
	"  --top N            the first N of them\n"
	"  --json             print the answer as JSON, numbers exact\n"
	"  --watch [SECONDS]  again and again (default every 2 s) until Ctrl-C\n"
	"  --help             this text\n"
	"  --version          the version\n"
	"\n"
	"Exit status: 0 up, 1 degraded (summary, capture) or not done (upgrade, reload),\n"
	"2 not reachable, 64 wrong usage.\n";

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

static int read_top(const char *text, unsigned int *top)
{
	unsigned long value;

	if (is_number(text) && strlen(text) <= 9) {
		value = strtoul(text, NULL, 10);
		if (value >= 1) {
			*top = (unsigned int)value;
			return 0;
		}
	}
	return refuse("--top", "expected a whole number of rows, at least 1");
}

/* What a command that does something shall do. */
static int read_action(const char *argument, struct arguments *arguments)
{
	static const char *const actions[] = {KSPLIT_ACTION_ON, KSPLIT_ACTION_OFF,
					      KSPLIT_ACTION_STATUS};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(argument, actions[i]) == 0)
			arguments->view.action = actions[i];
	return arguments->view.action ? 0 : refuse(argument, "expected on, off or status");
}

/* Behind on or off. */
static int read_tap(const char *argument, struct arguments *arguments)
{
	static const char *const taps[] = {"keylog", "content", "pcapng"};

	for (size_t i = 0; i < sizeof(taps) / sizeof(taps[0]); i++)
		if (strcmp(argument, taps[i]) == 0)
			arguments->view.tap = taps[i];
	return arguments->view.tap ? 0 : refuse(argument, "expected keylog, content or pcapng");
}

static int read_command(const char *argument, struct arguments *arguments)
{
	if (arguments->command && arguments->command->acts && !arguments->view.action)
		return read_action(argument, arguments);
	if (arguments->command && arguments->command->taps && !arguments->view.tap)
		return read_tap(argument, arguments);
	if (arguments->command)
		return refuse(argument, "one command at a time");
	arguments->command = command_find(argument);
	if (!arguments->command)
		return refuse(argument,
			      "unknown command, expected summary, connections, endpoints, "
			      "requests, kernel, passes, certs, capture, taps, upgrade or "
			      "reload");
	return 0;
}

static int set_value(const char *option, const char *value, struct arguments *arguments)
{
	if (strcmp(option, "--top") == 0)
		return read_top(value, &arguments->view.top);
	if (strcmp(option, "--sort") == 0) {
		arguments->sort = value;
		return 0;
	}
	arguments->path = value;
	return *value ? 0 : refuse(option, "expected the path of a socket");
}

/* Options whose value may stand in the next argument. Moves *i past it. */
static int read_valued(int argc, char **argv, int *i, struct arguments *arguments)
{
	static const char *const options[] = {"--control", "--sort", "--top", NULL};
	const char *const *option;
	const char *value;
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
	for (option = options; *option; option++) {
		value = value_of(argument, *option);
		if (!value && strcmp(argument, *option) == 0) {
			value = next ? next : "";
			++*i;
		}
		if (value)
			return set_value(*option, value, arguments);
	}
	return refuse(argument, "unknown option, see ksplit-status --help");
}

/* What only tables have, once it is known what is asked for. */
static int check_table(struct arguments *arguments)
{
	const struct row_key *keys = arguments->command->keys;
	char text[300] = "unknown key, expected one of";
	size_t used;

	if (!keys && (arguments->sort || arguments->view.top))
		return refuse(arguments->sort ? "--sort" : "--top",
			      "only for endpoints, requests, passes and certs");
	if (!arguments->sort)
		return 0;
	arguments->view.sort = row_key_find(keys, arguments->sort);
	if (arguments->view.sort)
		return 0;
	for (; keys->name; keys++) {
		used = strlen(text);
		snprintf(text + used, sizeof(text) - used, " %s", keys->name);
	}
	return refuse(arguments->sort, text);
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
			arguments->view.form = VIEW_JSON;
		} else if (argv[i][0] == '-') {
			code = read_valued(argc, argv, &i, arguments);
		} else {
			code = read_command(argv[i], arguments);
		}
	}
	if (!arguments->command)
		arguments->command = command_find(KSPLIT_COMMAND_SUMMARY);
	if (!code && arguments->watch && (arguments->view.action || arguments->command->once))
		code = refuse("--watch", "nothing is switched again and again");
	if (arguments->view.form == VIEW_JSON && arguments->watch)
		arguments->view.form = VIEW_JSON_LINE;
	return code || arguments->exit ? code : check_table(arguments);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.path = KSPLIT_CONTROL_PATH,
				      .view.columns = view_columns(stdout)};
	int code = read_arguments(argc, argv, &arguments);

	if (code)
		return code;
	if (!arguments.exit && arguments.watch)
		code = watch_run(arguments.command, arguments.path, &arguments.view,
				 arguments.watch);
	else if (!arguments.exit)
		code = command_run(arguments.command, arguments.path, &arguments.view, stdout,
				   stderr);
	if (fflush(stdout) != 0) {
		perror("ksplit-status: standard output");
		return STATUS_UNREACHABLE;
	}
	return code;
}
