// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "observe/cgroup.h"

static void assert_unit(const char *path, const char *expected)
{
	char unit[128];

	cgroup_print_unit(path, unit, sizeof(unit));
	assert_string_equal(unit, expected);
}

static void test_unit(void **state)
{
	(void)state;
	assert_unit("/system.slice/nginx.service", "nginx.service");
	assert_unit("/system.slice/nginx.service/worker/1", "nginx.service");
	assert_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope",
		    "app-x.scope");
	assert_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/plain", "app.slice");
	assert_unit("/docker/0123abc", "/docker/0123abc");
	assert_unit("/", "/");
	assert_unit("", "");
	assert_unit("x.service", "x.service");
	assert_unit("/.service", "/.service"); /* an ending alone is no name */
	assert_unit("/a.service/", "a.service");
}

static void test_unit_cut(void **state)
{
	char unit[8];

	(void)state;
	cgroup_print_unit("/system.slice/nginx.service", unit, sizeof(unit));
	assert_string_equal(unit, "nginx.s");
	cgroup_print_unit("/docker/0123abc", unit, sizeof(unit));
	assert_string_equal(unit, "/docker");
}

static void test_own_path(void **state)
{
	char mine[PATH_MAX], same[PATH_MAX], room[1];
	int err = cgroup_path_of_process(0, mine, sizeof(mine));

	(void)state;
	if (err == -ENOENT) {
		print_message("skipped: needs cgroup v2\n");
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(mine[0], '/');
	assert_int_equal(cgroup_path_of_process((uint32_t)getpid(), same, sizeof(same)), 0);
	assert_string_equal(mine, same);
	assert_int_equal(cgroup_path_of_process(0, room, sizeof(room)), -ENAMETOOLONG);
	assert_int_equal(cgroup_path_of_process(1 << 30, same, sizeof(same)), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_unit_cut),
		cmocka_unit_test(test_own_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
