// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/version.h>

#include "check.h"
#include "report.h"
#include "runner.h"
#include "settings.h"

#define EXIT_USAGE  64
#define ONLY_MAX    64
#define CHECK_S_MAX 60

struct arguments {
	const char *config;
	const char *only[ONLY_MAX];
	size_t only_len;
	enum report_form form;
	unsigned int check_s; /* that one check may take */
	bool exit;
};

static const char usage[] =
	"usage: ksplit-doctor [OPTION]...\n"
	"\n"
	"Tries what ksplitd needs of this kernel and looks at what it needs of this host: what\n"
	"works, what is lost, how to mend it. Changes nothing. See ksplit-doctor(8).\n"
	"\n"
	"  -c, --config FILE  the configuration (default " SETTINGS_PATH ")\n"
	"  --only NAME        this check only; may be given again\n"
	"  --list             names of the checks\n"
	"  --timeout SECONDS  how long one check may take (1 to 60, default 20)\n"
	"  --quiet            only what is wrong\n"
	"  --json             print JSON\n"
	"  --help             this text\n"
	"  --version          the version\n"
	"\n"
	"Exit status: 0 all good, 1 something is lost but ksplit works, 2 it will not work,\n"
	"64 wrong usage.\n";

static int refuse(const char *argument, const char *what)
{
	fprintf(stderr, "ksplit-doctor: %s: %s\n", argument, what);
	return EXIT_USAGE;
}

static bool check_is_known(const char *name)
{
	for (const struct check *check = checks; check->name; check++) {
		if (strcmp(check->name, name) == 0)
			return true;
	}
	return false;
}

static void list_checks(void)
{
	for (const struct check *check = checks; check->name; check++)
		printf("%-16s %s\n", check->name, check->what);
}

static int set_timeout(const char *value, struct arguments *arguments)
{
	unsigned long seconds = strtoul(value, NULL, 10);

	if (strlen(value) > 2 || value[strspn(value, "0123456789")] || seconds < 1 ||
	    seconds > CHECK_S_MAX)
		return refuse("--timeout", "expected a whole number of seconds from 1 to 60");
	arguments->check_s = (unsigned int)seconds;
	return 0;
}

static int set_only(const char *value, struct arguments *arguments)
{
	if (!check_is_known(value))
		return refuse(value, "no such check, see ksplit-doctor --list");
	if (arguments->only_len == ONLY_MAX)
		return refuse(value, "too many checks are named");
	arguments->only[arguments->only_len++] = value;
	return 0;
}

static int set_value(const char *option, const char *value, struct arguments *arguments)
{
	if (!value || !*value)
		return refuse(option, "expected a value");
	if (strcmp(option, "--only") == 0)
		return set_only(value, arguments);
	if (strcmp(option, "--timeout") == 0)
		return set_timeout(value, arguments);
	arguments->config = value;
	return 0;
}

/* An option with a value, in the same argument or the next. Moves *i past it. */
static int read_valued(int argc, char **argv, int *i, struct arguments *arguments)
{
	static const char *const options[] = {"--config", "--only", "--timeout", "-c", NULL};
	const char *argument = argv[*i];
	size_t len;

	for (const char *const *option = options; *option; option++) {
		len = strlen(*option);
		if (strcmp(argument, *option) == 0) {
			++*i;
			return set_value(*option, *i < argc ? argv[*i] : NULL, arguments);
		}
		if (len > 2 && strncmp(argument, *option, len) == 0 && argument[len] == '=')
			return set_value(*option, argument + len + 1, arguments);
	}
	return refuse(argument, "unknown option, see ksplit-doctor --help");
}

static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
	int code = 0;

	for (int i = 1; i < argc && !code && !arguments->exit; i++) {
		arguments->exit = true;
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			continue;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("ksplit-doctor " KSPLIT_VERSION);
			continue;
		}
		if (strcmp(argv[i], "--list") == 0) {
			list_checks();
			continue;
		}
		arguments->exit = false;
		if (strcmp(argv[i], "--json") == 0)
			arguments->form = REPORT_JSON;
		else if (strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0)
			arguments->form =
				arguments->form == REPORT_JSON ? REPORT_JSON : REPORT_QUIET;
		else
			code = read_valued(argc, argv, &i, arguments);
	}
	return code;
}

static bool is_wanted(const struct arguments *arguments, const struct check *check)
{
	for (size_t i = 0; i < arguments->only_len; i++) {
		if (strcmp(arguments->only[i], check->name) == 0)
			return true;
	}
	return arguments->only_len == 0;
}

static void on_signal(int number)
{
	(void)number; /* ends the wait of runner_run */
}

/* Those that end the doctor are let in while it waits only, so that it can take everything away. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&blocked, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run_checks(const struct arguments *arguments)
{
	struct settings settings;
	struct runner runner;
	struct report report;
	int rc = 0;

	settings_read(&settings, arguments->config);
	if (report_begin(&report, arguments->form)) {
		fputs("ksplit-doctor: out of memory\n", stderr);
		return 2;
	}
	runner_init(&runner, &settings, arguments->check_s, report_add, &report);
	for (const struct check *check = checks; check->name && !rc; check++) {
		if (is_wanted(arguments, check))
			rc = runner_run(&runner, check);
	}
	if (rc) {
		cJSON_Delete(report.findings);
		fputs("ksplit-doctor: interrupted\n", stderr);
		return 128 + SIGINT;
	}
	return report_end(&report);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.config = SETTINGS_PATH, .check_s = RUNNER_CHECK_S};
	int code = read_arguments(argc, argv, &arguments);

	if (code || arguments.exit)
		return code;
	catch_signals();
	code = run_checks(&arguments);
	if (fflush(stdout) != 0) {
		perror("ksplit-doctor: standard output");
		return 2;
	}
	return code;
}
