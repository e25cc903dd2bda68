// SPDX-License-Identifier: GPL-2.0-or-later
/* How workers go from one generation's listeners to another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/turnover_inner.h"
#include "server_rig.h"

#define AT(address, to) "{\"listen\": \"" address "\", \"to\": \"" to "\"}"
#define KEPT		AT("127.0.0.2:0", "a.test:1")
#define GOES		AT("127.0.0.3:0", "a.test:1")
#define COMES		AT("127.0.0.4:0", "b.test:1")

static struct {
	struct server_rig *rig;
	struct generation *next;
	struct turnover *turnover;
	/* as they were */
	struct listener *listeners[SERVER_RIG_WORKERS][2];
	int fds[SERVER_RIG_WORKERS][2];
} test;

static int open_server(void **state)
{
	(void)state;
	test.rig = server_rig_open(KEPT ", " GOES);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		struct worker *worker = &test.rig->server.workers[i];

		assert_int_equal(worker->listeners_len, 2);
		for (size_t k = 0; k < 2; k++) {
			test.listeners[i][k] = worker->listeners[k];
			test.fds[i][k] = worker->listeners[k]->fd;
		}
	}
	return 0;
}

static int close_server(void **state)
{
	(void)state;
	turnover_free(test.turnover);
	server_rig_close(test.rig);
	generation_put(test.next);
	memset(&test, 0, sizeof(test));
	return 0;
}

/* The next generation, which has these listeners. */
static int turn_to(const char *listeners)
{
	struct generation *now = test.rig->server.generation;
	struct config *config;

	server_rig_write(test.rig, listeners, "");
	config = server_rig_read(test.rig);
	assert_int_equal(generation_new(config, now->issuer, now, &test.next, test.rig->error,
					sizeof(test.rig->error)),
			 0);
	return turnover_new(&test.rig->server, test.next, &test.turnover, test.rig->error,
			    sizeof(test.rig->error));
}

static struct generation *now(void)
{
	return test.rig->server.generation;
}

static void expect_as_before(void)
{
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		const struct worker *worker = &test.rig->server.workers[i];

		assert_int_equal(worker->listeners_len, 2);
		assert_ptr_equal(worker->generation, now());
		for (size_t k = 0; k < 2; k++) {
			assert_ptr_equal(worker->listeners[k], test.listeners[i][k]);
			assert_int_equal(worker->listeners[k]->fd, test.fds[i][k]);
			assert_ptr_equal(worker->listeners[k]->generation, now());
			assert_ptr_equal(worker->listeners[k]->config, &now()->listeners[k]);
		}
	}
	assert_true(is_listened_on("127.0.0.2", port_of(now(), 0)));
	assert_true(is_listened_on("127.0.0.3", port_of(now(), 1)));
}

static void one_stays_one_goes_one_comes(void **state)
{
	unsigned int kept, gone, come;

	(void)state;
	assert_int_equal(turn_to(COMES ", " KEPT), 0);
	kept = port_of(now(), 0);
	gone = port_of(now(), 1);
	come = port_of(test.next, 0);
	assert_int_not_equal(come, 0); /* the kernel has chosen */
	assert_int_equal(port_of(test.next, 1), kept);
	assert_true(is_listened_on("127.0.0.4", come));

	/* The new one is accepted on, under the next generation; the others are as they were. */
	assert_int_equal(turnover_open(test.turnover, test.rig->error, sizeof(test.rig->error)), 0);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		const struct worker *worker = &test.rig->server.workers[i];

		assert_int_equal(worker->listeners_len, 3);
		assert_ptr_equal(worker->listeners[0]->generation, now());
		assert_ptr_equal(worker->listeners[1]->generation, now());
		assert_ptr_equal(worker->listeners[2]->generation, test.next);
	}
	assert_true(is_listened_on("127.0.0.3", gone));

	assert_int_equal(turnover_commit(test.turnover), 0);
	assert_true(turnover_is_over(test.turnover));
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		const struct worker *worker = &test.rig->server.workers[i];

		assert_int_equal(worker->listeners_len, 2);
		assert_ptr_equal(worker->generation, test.next);
		for (size_t k = 0; k < 2; k++) {
			assert_ptr_equal(worker->listeners[k]->generation, test.next);
			assert_ptr_equal(worker->listeners[k]->config, &test.next->listeners[k]);
		}
		/* the socket is the same: what waits in its queue stays there */
		assert_ptr_equal(worker->listeners[1], test.listeners[i][0]);
		assert_int_equal(worker->listeners[1]->fd, test.fds[i][0]);
	}
	assert_true(is_listened_on("127.0.0.2", kept));
	assert_true(is_listened_on("127.0.0.4", come));
	assert_false(is_listened_on("127.0.0.3", gone));
}

static void undone_it_is_as_before(void **state)
{
	unsigned int come;

	(void)state;
	assert_int_equal(turn_to(COMES), 0);
	come = port_of(test.next, 0);
	assert_int_equal(turnover_open(test.turnover, test.rig->error, sizeof(test.rig->error)), 0);
	turnover_undo(test.turnover);
	assert_true(turnover_is_over(test.turnover));
	expect_as_before();
	assert_false(is_listened_on("127.0.0.4", come));
	turnover_free(test.turnover);
	test.turnover = NULL;
	/* nobody but the test has it any more */
	assert_true(generation_is_unused(test.next));
}

static void made_and_let_go_it_leaves_nothing(void **state)
{
	unsigned int come;

	(void)state;
	assert_int_equal(turn_to(COMES ", " GOES), 0);
	come = port_of(test.next, 0);
	turnover_free(test.turnover);
	test.turnover = NULL;
	expect_as_before();
	assert_false(is_listened_on("127.0.0.4", come));
	assert_true(generation_is_unused(test.next));
}

static void a_port_of_another_program_is_told(void **state)
{
	uint16_t port;
	char listeners[200], name[40];
	int fd = server_rig_occupy("127.0.0.5", &port);

	(void)state;
	snprintf(name, sizeof(name), "127.0.0.5:%u", port);
	snprintf(listeners, sizeof(listeners),
		 COMES ", {\"listen\": \"%s\", \"to\": \"a.test:1\"}", name);
	assert_int_equal(turn_to(listeners), -EADDRINUSE);
	assert_null(test.turnover);
	assert_non_null(strstr(test.rig->error, name));
	assert_false(is_listened_on("127.0.0.4", port_of(test.next, 0)));
	expect_as_before();
	assert_true(generation_is_unused(test.next));
	close(fd);
}

/* The same port on all addresses: SO_REUSEPORT allows it beside our own socket, as nobody else's.
 */
static void an_address_that_includes_our_own_is_free(void **state)
{
	char listeners[200];

	(void)state;
	snprintf(listeners, sizeof(listeners), "{\"listen\": \"0.0.0.0:%u\", \"to\": \"a.test:1\"}",
		 port_of(now(), 0));
	assert_int_equal(turn_to(listeners), 0);
	assert_int_equal(turnover_open(test.turnover, test.rig->error, sizeof(test.rig->error)), 0);
	assert_int_equal(turnover_commit(test.turnover), 0);
	assert_true(is_listened_on("127.0.0.9", port_of(test.next, 0)));
	assert_false(is_listened_on("127.0.0.3", port_of(now(), 1)));
}

/* Rules lead connections to it before they are all in place: it has to know what to do by then. */
static void what_captured_ones_are_led_to_follows_early(void **state)
{
	(void)state;
	assert_int_equal(turn_to(AT("127.0.0.2:0", "original") ", " GOES), 0);
	assert_true(turnover_is_early(test.turnover, 0));
	assert_false(turnover_is_early(test.turnover, 1));
	assert_int_equal(turnover_open(test.turnover, test.rig->error, sizeof(test.rig->error)), 0);
	for (size_t i = 0; i < SERVER_RIG_WORKERS; i++) {
		assert_ptr_equal(test.listeners[i][0]->generation, test.next);
		assert_ptr_equal(test.listeners[i][0]->config, &test.next->listeners[0]);
		assert_ptr_equal(test.listeners[i][1]->generation, now());
	}
	turnover_undo(test.turnover);
	expect_as_before();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_server, close_server)
	const struct CMUnitTest tests[] = {
		T(one_stays_one_goes_one_comes),
		T(undone_it_is_as_before),
		T(made_and_let_go_it_leaves_nothing),
		T(a_port_of_another_program_is_told),
		T(an_address_that_includes_our_own_is_free),
		T(what_captured_ones_are_led_to_follows_early),
	};
#undef T

	return cmocka_run_group_tests_name("turnover", tests, NULL, NULL);
}
