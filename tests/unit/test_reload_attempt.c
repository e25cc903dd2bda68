// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes of a reload: all of it, or nothing with a sentence that says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "core/reload_attempt.h"
#include "server_rig.h"

#define PATIENCE_MS 60000
#define FIRST	    "{\"listen\": \"127.0.0.2:0\", \"to\": \"a.test:1\"}"
#define SECOND	    "{\"listen\": \"127.0.0.3:0\", \"to\": \"b.test:1\"}"

static struct {
	struct server_rig *rig;
	struct reload_attempt attempt;
} test;

static int open_server(void **state)
{
	(void)state;
	test.rig = server_rig_open(FIRST);
	test.attempt.server = &test.rig->server;
	test.attempt.start = &test.rig->start;
	return 0;
}

static int close_server(void **state)
{
	(void)state;
	reload_attempt_forget(&test.attempt);
	server_rig_close(test.rig);
	memset(&test, 0, sizeof(test));
	return 0;
}

static struct generation *now(void)
{
	return test.rig->server.generation;
}

static void reload(const char *listeners, const char *more)
{
	server_rig_write(test.rig, listeners, more);
	reload_attempt_run(&test.attempt);
}

static void expect_failure(const struct generation *before, const char *why)
{
	assert_true(test.attempt.failed);
	if (!strstr(test.attempt.error, why))
		fail_msg("\"%s\" is not in: %s", why, test.attempt.error);
	assert_ptr_equal(now(), before);
	assert_int_equal(now()->number, 1);
	assert_int_equal(now()->listeners_len, 1);
	assert_true(is_listened_on("127.0.0.2", port_of(now(), 0)));
	assert_int_equal(test.attempt.old, 0);
	assert_true(STAILQ_EMPTY(&test.rig->server.old));
}

static void a_good_one_is_the_present_one(void **state)
{
	const unsigned int port = port_of(now(), 0);
	const struct issuer *issuer = now()->issuer;

	(void)state;
	reload(FIRST ", " SECOND, "");
	assert_false(test.attempt.failed);
	assert_string_equal(test.attempt.error, "");
	assert_string_equal(test.attempt.kept, "");
	assert_int_equal(now()->number, 2);
	assert_int_equal(now()->listeners_len, 2);
	assert_int_equal(port_of(now(), 0), port);
	assert_true(is_listened_on("127.0.0.2", port));
	assert_true(is_listened_on("127.0.0.3", port_of(now(), 1)));
	/* The CA is the same, so are its process and its leaves. */
	assert_ptr_equal(now()->issuer, issuer);
	/* No connection is open under the one before. */
	reload_attempt_reap(&test.attempt);
	assert_int_equal(test.attempt.old, 0);

	reload(SECOND, "");
	assert_false(test.attempt.failed);
	assert_int_equal(now()->number, 3);
	assert_false(is_listened_on("127.0.0.2", port));
}

/* Who uses it (a connection) keeps it; then it goes. */
static void one_that_is_used_is_kept(void **state)
{
	struct generation *used = generation_get(now());

	(void)state;
	reload(SECOND, "");
	assert_false(test.attempt.failed);
	assert_int_equal(test.attempt.old, 1);
	assert_ptr_equal(STAILQ_FIRST(&test.rig->server.old), used);
	reload(FIRST, "");
	assert_int_equal(now()->number, 3);
	assert_int_equal(test.attempt.old, 1);
	generation_put(used);
	reload_attempt_reap(&test.attempt);
	assert_int_equal(test.attempt.old, 0);
	assert_true(STAILQ_EMPTY(&test.rig->server.old));
}

static void a_bad_one_changes_nothing(void **state)
{
	const struct generation *before = now();

	(void)state;
	reload("{\"listen\": \"127.0.0.3:0\", \"to\": ", "");
	expect_failure(before, test.rig->file + strlen(test.rig->folder) + 1);
	reload("", "");
	expect_failure(before, "listen");
	reload(FIRST, ", \"no_such_key\": 1");
	expect_failure(before, "no_such_key");
	unlink(test.rig->file);
	reload_attempt_run(&test.attempt);
	expect_failure(before, "ksplit.json");
	/* ... and is not in the way of a good one */
	reload(SECOND, "");
	assert_false(test.attempt.failed);
	assert_string_equal(test.attempt.error, "");
}

static void what_cannot_be_made_changes_nothing(void **state)
{
	const struct generation *before = now();
	char listeners[200];
	uint16_t port;
	int fd = server_rig_occupy("127.0.0.5", &port);

	(void)state;
	snprintf(listeners, sizeof(listeners),
		 SECOND ", {\"listen\": \"127.0.0.5:%u\", \"to\": \"a.test:1\"}",
		 port);
	reload(listeners, "");
	expect_failure(before, "127.0.0.5");
	close(fd);
	/* a tap that cannot write: the new listener has been there by then, and goes again */
	reload(FIRST ", " SECOND, ", \"taps\": {\"keylog\": \"/nowhere/keys\"}");
	expect_failure(before, "/nowhere/keys");
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++)
		assert_int_equal(test.rig->server.workers[i].listeners_len, 1);
}

static void another_ca_takes_the_launcher(void **state)
{
	struct generation *before = generation_get(now());

	(void)state;
	server_rig_write_ca(test.rig);
	assert_int_equal(truncate(test.rig->key, 10), 0);
	reload(FIRST, "");
	expect_failure(before, "ca.key");
	server_rig_write_ca(test.rig);
	reload(FIRST, "");
	assert_false(test.attempt.failed);
	assert_ptr_not_equal(now()->issuer, before->issuer);
	assert_int_not_equal(signer_pid(now()->issuer->signer), signer_pid(before->issuer->signer));
	assert_int_equal(now()->number, 2);
	assert_true(signer_pid(now()->issuer->signer) > 0);
	generation_put(before);
}

static void what_is_fixed_is_told_and_stays(void **state)
{
	(void)state;
	reload(SECOND, ", \"limits\": {\"max_connections\": 7}, \"relay\": \"copy\"");
	assert_false(test.attempt.failed);
	assert_non_null(strstr(test.attempt.kept, "limits.max_connections"));
	assert_non_null(strstr(test.attempt.kept, "relay"));
	assert_int_equal(now()->config->max_connections, 0);
	assert_int_equal(now()->config->relay, RELAY_AUTO);
	assert_int_equal(now()->number, 2);
	reload(FIRST, "");
	assert_string_equal(test.attempt.kept, "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_server, close_server)
	const struct CMUnitTest tests[] = {
		T(a_good_one_is_the_present_one),
		T(one_that_is_used_is_kept),
		T(a_bad_one_changes_nothing),
		T(what_cannot_be_made_changes_nothing),
		T(another_ca_takes_the_launcher),
		T(what_is_fixed_is_told_and_stays),
	};
#undef T

	return cmocka_run_group_tests_name("reload_attempt", tests, NULL, NULL);
}
