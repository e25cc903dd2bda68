// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that holds the capture table, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/keeper.h"
#include "emulated.h"
#include "nft_rig.h"

#define LONG_MS     20000 /* a wait that only a failure makes long */
/* A machine that is emulated beside another may not come to a turn for a second. */
#define WATCHDOG_MS (is_emulated() ? 3000 : 300)

static struct keeper *start(uint32_t watchdog_ms)
{
	const struct keeper_options options = {.table = RIG_TABLE, .watchdog_ms = watchdog_ms};
	struct keeper *keeper;

	assert_int_equal(keeper_start(&options, &keeper), 0);
	return keeper;
}

/* The next report has to be this one. */
static struct keeper_report expect(struct keeper *keeper, enum keeper_event event)
{
	struct keeper_report report;

	assert_int_equal(keeper_wait(keeper, &report, LONG_MS), 1);
	if (report.event != event)
		fail_msg("event %d, not %d: %s", report.event, event, report.text);
	return report;
}

static struct keeper_report load(struct keeper *keeper, const char *owned, const char *plain)
{
	const struct keeper_rules rules = {owned, plain, "", ""};

	assert_int_equal(keeper_load(keeper, &rules), 0);
	return expect(keeper, KEEPER_LOADED);
}

static bool gone_soon(const char *what)
{
	for (int i = 0; i < LONG_MS / 10; i++) {
		if (!rig_has(what))
			return true;
		usleep(10000);
	}
	return false;
}

static void test_orders(void **state)
{
	struct keeper *keeper = start(LONG_MS);
	struct keeper_report report = load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));

	(void)state;
	assert_true(report.loaded);
	assert_int_equal(report.has_owner, rig_has("flags owner"));
	assert_true(rig_has(":8443"));
	load(keeper, RIG_OWNED("9443"), RIG_PLAIN("9443"));
	assert_true(rig_has(":9443") && !rig_has(":8443"));
	assert_int_equal(keeper_remove(keeper), 0);
	report = expect(keeper, KEEPER_REMOVED);
	assert_false(report.loaded);
	assert_false(rig_has(RIG_TABLE));
	assert_int_equal(keeper_read(keeper, &report), 0);
	keeper_stop(keeper, LONG_MS);
	keeper_stop(NULL, 0);
}

/* Rules that are refused are told of, and change nothing. */
static void test_refused_rules(void **state)
{
	const struct keeper_rules nonsense = {"nonsense\n", "nonsense\n", "", ""};
	struct keeper *keeper = start(LONG_MS);
	struct keeper_report report;

	(void)state;
	load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));
	assert_int_equal(keeper_load(keeper, &nonsense), 0);
	report = expect(keeper, KEEPER_FAILED);
	assert_int_equal(report.error, -EINVAL);
	assert_non_null(strstr(report.text, "syntax error"));
	assert_true(report.loaded);
	assert_true(rig_has(":8443"));
	keeper_stop(keeper, LONG_MS);
	assert_false(rig_has(RIG_TABLE));
}

/*
 * A set that has grown is put in other places by the kernel for a while (lib/rhashtable.c), and who
 * lists it meanwhile may miss some of it.
 */
static bool has_soon(const char *what)
{
	for (unsigned int i = 0; i < 100; i++) {
		if (rig_has(what))
			return true;
		usleep(20000);
	}
	return false;
}

/* More text than a socket's buffer holds. */
static void test_large_rules(void **state)
{
	static const char head[] =
		"table inet " RIG_TABLE " {\n\tcomment \"" NFT_TABLE_COMMENT
		"\"\n\tset nets {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.0";
	struct keeper *keeper = start(LONG_MS);
	char *text = malloc(2000000);
	size_t used = strlen(strcpy(text, head));

	(void)state;
	assert_non_null(text);
	for (unsigned int i = 1; i < 30000; i++)
		used += (size_t)sprintf(text + used, ", 10.%u.%u.%u", i >> 16, (i >> 8) & 255,
					i & 255);
	strcpy(text + used, " }\n\t}\n}\n");
	assert_true(used > 300000);
	load(keeper, text, text);
	assert_true(has_soon("10.0.117.47"));
	free(text);
	keeper_stop(keeper, LONG_MS);
	assert_false(rig_has(RIG_TABLE));
}

static void test_no_beat_and_beats_again(void **state)
{
	struct keeper *keeper = start(WATCHDOG_MS);
	struct keeper_report report;

	(void)state;
	load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));
	report = expect(keeper, KEEPER_STALLED);
	assert_false(report.loaded);
	assert_false(rig_has(RIG_TABLE));
	keeper_beat(keeper);
	report = expect(keeper, KEEPER_RESUMED);
	assert_true(report.loaded);
	/* and again */
	expect(keeper, KEEPER_STALLED);
	assert_int_equal(keeper_remove(keeper), 0);
	expect(keeper, KEEPER_REMOVED);
	/* Told to be off: a beat does not load. */
	keeper_beat(keeper);
	assert_int_equal(keeper_wait(keeper, &report, 2 * WATCHDOG_MS), 0);
	assert_false(rig_has(RIG_TABLE));
	keeper_stop(keeper, LONG_MS);
}

/* Open connections keep their rules while nothing is captured, and until the end. */
static void test_what_open_connections_need(void **state)
{
	const struct keeper_rules rules = {RIG_OWNED("8443"), RIG_PLAIN("8443"), RIG_OWNED("7443"),
					   RIG_PLAIN("7443")};
	struct keeper *keeper = start(WATCHDOG_MS);
	struct keeper_report report;

	(void)state;
	assert_int_equal(keeper_load(keeper, &rules), 0);
	expect(keeper, KEEPER_LOADED);
	report = expect(keeper, KEEPER_STALLED);
	assert_true(report.held && !report.loaded);
	assert_true(rig_has(":7443") && !rig_has(":8443"));
	keeper_beat(keeper);
	expect(keeper, KEEPER_RESUMED);
	assert_true(rig_has(":8443") && !rig_has(":7443"));
	assert_int_equal(keeper_withdraw(keeper), 0);
	report = expect(keeper, KEEPER_REMOVED);
	assert_true(report.held && !report.loaded);
	assert_true(rig_has(":7443") && !rig_has(":8443"));
	keeper_beat(keeper);
	assert_int_equal(keeper_wait(keeper, &report, 2 * WATCHDOG_MS), 0);
	assert_int_equal(keeper_remove(keeper), 0);
	report = expect(keeper, KEEPER_REMOVED);
	assert_false(report.held);
	assert_false(rig_has(RIG_TABLE));
	keeper_stop(keeper, LONG_MS);
}

static void test_beats_keep_the_rules(void **state)
{
	struct keeper *keeper = start(2000);
	struct keeper_report report;

	(void)state;
	load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));
	for (int i = 0; i < 25; i++) {
		keeper_beat(keeper);
		assert_int_equal(keeper_wait(keeper, &report, 100), 0);
	}
	assert_true(rig_has(":8443"));
	keeper_stop(keeper, LONG_MS);
}

/* SIGKILL: the kernel withdraws by the owner flag; without it the next keeper does. */
static void test_killed(void **state)
{
	struct keeper *keeper = start(LONG_MS);
	struct keeper_report report = load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));

	(void)state;
	assert_int_equal(kill(keeper_pid(keeper), SIGKILL), 0);
	assert_int_equal(keeper_wait(keeper, &(struct keeper_report){0}, LONG_MS), -EPIPE);
	if (report.has_owner)
		assert_true(gone_soon(RIG_TABLE));
	keeper_stop(keeper, LONG_MS);
	keeper = start(LONG_MS);
	assert_true(gone_soon(RIG_TABLE));
	keeper_stop(keeper, LONG_MS);
}

static void test_told_to_end(void **state)
{
	struct keeper *keeper = start(LONG_MS);

	(void)state;
	load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));
	assert_int_equal(kill(keeper_pid(keeper), SIGTERM), 0);
	assert_int_equal(keeper_wait(keeper, &(struct keeper_report){0}, LONG_MS), -EPIPE);
	assert_false(rig_has(RIG_TABLE));
	keeper_stop(keeper, LONG_MS);
}

/* It does not answer: ended all the same, and its rules with it. */
static void test_stopped_keeper_is_killed(void **state)
{
	struct keeper *keeper = start(LONG_MS);
	pid_t pid = keeper_pid(keeper);
	bool owner = load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443")).has_owner;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	keeper_stop(keeper, 50);
	assert_int_equal(kill(pid, 0), -1);
	if (owner)
		assert_true(gone_soon(RIG_TABLE));
	else
		rig_run("delete table inet " RIG_TABLE "\n");
}

/* A daemon that dies, by a process of its own: the keeper is not its only child's child for long.
 */
static void test_daemon_killed(void **state)
{
	int ready[2];
	pid_t keeper_was = 0, daemon;
	bool gone = false;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	daemon = fork();
	if (daemon == 0) {
		const struct keeper_options options = {.table = RIG_TABLE, .watchdog_ms = LONG_MS};
		const struct keeper_rules rules = {RIG_OWNED("8443"), RIG_PLAIN("8443"), "", ""};
		struct keeper_report report;
		struct keeper *keeper;
		pid_t pid;

		if (keeper_start(&options, &keeper) || keeper_load(keeper, &rules) ||
		    keeper_wait(keeper, &report, LONG_MS) != 1)
			_exit(1);
		pid = keeper_pid(keeper);
		if (write(ready[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(daemon > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &keeper_was, sizeof(keeper_was)), sizeof(keeper_was));
	assert_true(rig_has(":8443"));
	assert_int_equal(kill(daemon, SIGKILL), 0);
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	assert_true(gone_soon(RIG_TABLE));
	for (int i = 0; i < LONG_MS / 10 && !gone; i++) {
		char path[64], line[256] = "";
		FILE *stat;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)keeper_was);
		stat = fopen(path, "r");
		/* where nobody reaps orphans it stays as a zombie */
		gone = !stat || !fgets(line, sizeof(line), stat) || strstr(line, ") Z ");
		if (stat)
			fclose(stat);
		usleep(10000);
	}
	assert_true(gone);
	close(ready[0]);
}

/* What the daemon has open is not the keeper's: a listener of its would take connections. */
static void test_no_descriptor_is_kept(void **state)
{
	int extra = dup(2), far = fcntl(2, F_DUPFD, 500), seen = 0;
	struct keeper *keeper = start(LONG_MS);
	struct dirent *entry;
	char path[64];
	DIR *dir;

	(void)state;
	load(keeper, RIG_OWNED("8443"), RIG_PLAIN("8443"));
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)keeper_pid(keeper));
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char link[512] = "", name[600];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		seen++;
		if (readlink(name, link, sizeof(link) - 1) > 0 && atoi(entry->d_name) > 2)
			assert_true(strstr(link, "socket:") || strstr(link, "signalfd"));
		assert_int_not_equal(atoi(entry->d_name), far);
	}
	closedir(dir);
	/* three standard ones, its socket, its signals, netlink */
	assert_true(seen >= 5 && seen <= 7);
	assert_int_equal(getsid(keeper_pid(keeper)), keeper_pid(keeper));
	close(extra);
	close(far);
	keeper_stop(keeper, LONG_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_refused_rules),
		cmocka_unit_test(test_large_rules),
		cmocka_unit_test(test_no_beat_and_beats_again),
		cmocka_unit_test(test_what_open_connections_need),
		cmocka_unit_test(test_beats_keep_the_rules),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_told_to_end),
		cmocka_unit_test(test_stopped_keeper_is_killed),
		cmocka_unit_test(test_daemon_killed),
		cmocka_unit_test(test_no_descriptor_is_kept),
	};

	if (!rig_enter())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
