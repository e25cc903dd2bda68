// SPDX-License-Identifier: GPL-2.0-or-later
/* Changing who one is works once in a process: in children. Root is needed for most of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "core/privileges.h"

#define BIT(capability) (UINT64_C(1) << (capability))
#define BPF_SET		(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN))
#define USER		"daemon"

static struct config config;
static char folder[64];

static int set_up(void **state)
{
	(void)state;
	log_setup(LOG_LEVEL_ERROR, false);
	config_init(&config);
	config.user = strdup(USER);
	strcpy(folder, "/tmp/ksplit-test-priv.XXXXXX");
	return mkdtemp(folder) && !chmod(folder, 0755) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	config_free(&config);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void set_text(char **place, const char *text)
{
	free(*place);
	*place = strdup(text);
}

static void only_what_is_used_is_needed(void **state)
{
	(void)state;
	assert_int_equal(privileges_needed(&config), BPF_SET);
	config.sampler = SAMPLER_BPF;
	assert_int_equal(privileges_needed(&config), BPF_SET);
	config.sampler = SAMPLER_USER;
	assert_int_equal(privileges_needed(&config), 0);
	config.sampler = SAMPLER_OFF;
	assert_int_equal(privileges_needed(&config), 0);

	config.listeners_len = 1;
	config.listeners[0].destination = DESTINATION_TPROXY;
	assert_int_equal(privileges_needed(&config), BIT(CAP_NET_ADMIN));
	config.listeners[0].destination = DESTINATION_ORIGINAL;
	assert_int_equal(privileges_needed(&config), 0);
	config.listeners[0].client_address = CLIENT_ADDRESS_TRANSPARENT;
	assert_int_equal(privileges_needed(&config), BIT(CAP_NET_ADMIN));
	config.listeners[0].client_address = 0;

	set_text(&config.metrics.prometheus, "127.0.0.1:1024");
	assert_int_equal(privileges_needed(&config), 0);
	set_text(&config.metrics.prometheus, "127.0.0.1:1023");
	assert_int_equal(privileges_needed(&config), BIT(CAP_NET_BIND_SERVICE));
	set_text(&config.metrics.prometheus, "[::1]:80");
	assert_int_equal(privileges_needed(&config), BIT(CAP_NET_BIND_SERVICE));

	config.capture.parts[CAPTURE_OUTGOING].given = true;
	set_text(&config.metrics.prometheus, "");
	assert_int_equal(privileges_needed(&config), BIT(CAP_NET_ADMIN));
	config.capture.parts[CAPTURE_OUTGOING].given = false;
	config.capture.parts[CAPTURE_HOOK].given = true;
	assert_int_equal(privileges_needed(&config), BPF_SET);
}

static uint64_t status_of(const char *name)
{
	char line[256];
	uint64_t value = ~UINT64_C(0);
	size_t len = strlen(name);
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = strtoull(line + len + 1, NULL, 16);
	if (file)
		fclose(file);
	return value;
}

/* Which of these is not as it should be; 0: all are. */
static int check_dropped(uint64_t have)
{
	const struct passwd *user = getpwnam(USER);
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;

	if (getresuid(&uid, &euid, &suid) || uid != user->pw_uid || euid != uid || suid != uid)
		return 10;
	if (getresgid(&gid, &egid, &sgid) || gid != user->pw_gid || egid != gid || sgid != gid)
		return 11;
	if (getgroups(0, NULL) != 0)
		return 12;
	if (status_of("CapPrm") != have || status_of("CapEff") != have)
		return 13;
	if (status_of("CapInh") || status_of("CapAmb") || status_of("CapBnd"))
		return 14;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
		return 15;
	return setresuid(0, 0, 0) == 0 || setgroups(0, NULL) == 0 ? 16 : 0;
}

static int drop(uint64_t have)
{
	const gid_t groups[] = {4, 5};
	char error[512] = "";

	if (setgroups(2, groups) || privileges_drop(&config, 0, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 2;
	}
	return check_dropped(have);
}

static void assert_drops_to(uint64_t needed)
{
	uint64_t have = needed & status_of("CapPrm"); /* a container may have less */
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(drop(have));
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	print_message("not root: nothing to give up\n");
	return false;
}

static void root_becomes_the_user_with_what_it_needs(void **state)
{
	(void)state;
	if (!is_root())
		return;
	set_text(&config.control, "");
	assert_drops_to(BPF_SET);
	config.sampler = SAMPLER_USER;
	assert_drops_to(0);
}

static uid_t owner_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

static void what_is_opened_again_becomes_the_users(void **state)
{
	const uid_t uid = getpwnam(USER)->pw_uid;
	char run[96], control[128], log[96], link[96], other[96];
	struct stat st;

	(void)state;
	if (!is_root())
		return;
	snprintf(run, sizeof(run), "%s/run", folder);
	snprintf(control, sizeof(control), "%s/control.sock", run);
	snprintf(log, sizeof(log), "%s/access.log", folder);
	set_text(&config.control, control);
	set_text(&config.access_log, log);
	config.sampler = SAMPLER_OFF;
	assert_drops_to(0);
	assert_int_equal(owner_of(run), uid);
	assert_int_equal(owner_of(log), uid);
	assert_int_equal(stat(log, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640 & ~022);
	assert_int_equal(owner_of(folder), 0); /* was there before */

	/* links lead to what is another's */
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(other, link), 0);
	set_text(&config.access_log, link);
	assert_drops_to(0);
	assert_int_equal(owner_of(other), 0);
	unlink(link);
	assert_int_equal(linkat(AT_FDCWD, other, AT_FDCWD, link, 0), 0);
	assert_drops_to(0);
	assert_int_equal(owner_of(other), 0);
}

static void assert_refused(const char *user, const char *word)
{
	char error[512] = "";

	set_text(&config.user, user);
	assert_true(privileges_drop(&config, 0, error, sizeof(error)) < 0);
	if (!strstr(error, "\"user\"") || !strstr(error, word))
		fail_msg("\"%s\" does not say \"%s\"", error, word);
}

static void nobody_and_root_are_refused(void **state)
{
	(void)state;
	assert_refused("no-such-user", "no-such-user");
	assert_refused("root", "root");
	if (geteuid() != 0)
		assert_refused(USER, "only root");
}

static void without_a_user_nothing_changes(void **state)
{
	const uint64_t before = status_of("CapEff");
	const struct passwd *self = getpwuid(geteuid());
	char error[512] = "";

	(void)state;
	free(config.user);
	config.user = NULL;
	assert_int_equal(privileges_drop(&config, 0, error, sizeof(error)), 0);
	if (geteuid() != 0 && self) {
		config.user = strdup(self->pw_name);
		assert_int_equal(privileges_drop(&config, 0, error, sizeof(error)), 0);
	}
	assert_int_equal(status_of("CapEff"), before);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(only_what_is_used_is_needed),
		T(root_becomes_the_user_with_what_it_needs),
		T(what_is_opened_again_becomes_the_users),
		T(nobody_and_root_are_refused),
		T(without_a_user_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
