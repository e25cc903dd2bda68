// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/cgroup_unit.h"

/* Any folder will do for the root of a hierarchy. Parents first. */
static const char *const folders[] = {
	"init.scope",
	"system.slice",
	"system.slice/app.service",
	"system.slice/system-getty.slice",
	"system.slice/system-getty.slice/getty@tty1.service",
	"work.slice",
	"work.slice/work-night.slice",
	"work.slice/work-night.slice/batch.service",
	"work.slice/work-night.slice/batch.service/deep.service",
	"user.slice",
	"user.slice/mine.service",
};
#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

static char root[64];

static int make(void **state)
{
	char path[256];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/ksplit-test-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (size_t i = 0; i < FOLDERS; i++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		if (mkdir(path, 0700))
			return -1;
	}
	return 0;
}

static int take_away(void **state)
{
	char path[256];

	(void)state;
	for (size_t i = FOLDERS; i-- > 0;) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		rmdir(path);
	}
	return rmdir(root);
}

static void check(const char *unit, const char *expected)
{
	char path[PATH_MAX];
	int err = cgroup_unit_find(root, unit, path);

	assert_int_equal(err, expected ? 0 : -ENOENT);
	if (expected)
		assert_string_equal(path, expected);
}

static void test_units_are_found_in_slices(void **state)
{
	(void)state;
	check("init.scope", "init.scope");
	check("app.service", "system.slice/app.service");
	check("getty@tty1.service", "system.slice/system-getty.slice/getty@tty1.service");
	check("batch.service", "work.slice/work-night.slice/batch.service");
	check("work-night.slice", "work.slice/work-night.slice");
	check("user.slice", "user.slice");
}

/* Who may name folders below: the users, a service with its own cgroups. */
static void test_units_of_others_are_not(void **state)
{
	(void)state;
	check("mine.service", NULL);
	check("deep.service", NULL);
	check("absent.service", NULL);
}

static void test_names_are_no_paths(void **state)
{
	char long_name[PATH_MAX + 8];

	(void)state;
	check("", NULL);
	check("..", NULL);
	check("system.slice/app.service", NULL);
	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	check(long_name, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_are_found_in_slices),
		cmocka_unit_test(test_units_of_others_are_not),
		cmocka_unit_test(test_names_are_no_paths),
	};

	return cmocka_run_group_tests(tests, make, take_away);
}
