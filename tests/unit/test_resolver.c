// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/resolver.h"
#include "core/server.h"
#include "process_count.h"

#define MANY 300

/* Before the first resolver: the threads of one that was freed may take a moment to end. */
static int threads_at_start;

static int setup(void **state)
{
	(void)state;
	threads_at_start = count_threads();
	return 0;
}

/* A worker without listeners: its thread is where answers arrive. */
struct rig {
	struct config config;
	struct generation generation;
	struct server server;
	struct worker worker;
	struct resolver *resolver;
};

/* Who asks. */
struct asker {
	sem_t answered;
	pthread_t worker_thread;
	struct resolver_request *request;
};

static void open_rig(struct rig *rig)
{
	char error[256] = "";

	memset(rig, 0, sizeof(*rig));
	config_init(&rig->config);
	rig->generation.config = &rig->config;
	atomic_init(&rig->generation.references, 1);
	rig->server.generation = &rig->generation;
	rig->server.workers_len = 1;
	assert_int_equal(worker_init(&rig->worker, &rig->server, 0, error, sizeof(error)), 0);
	assert_int_equal(resolver_new(&rig->resolver), 0);
}

/* As the daemon's end: the worker's thread, the resolver, the worker. */
static void close_rig(struct rig *rig)
{
	if (rig->worker.thread_started)
		worker_stop(&rig->worker);
	worker_join(&rig->worker);
	resolver_free(rig->resolver);
	worker_destroy(&rig->worker);
	config_free(&rig->config);
}

static void on_answer(struct resolver_request *request)
{
	struct asker *asker = request->asker;

	asker->worker_thread = pthread_self();
	asker->request = request;
	sem_post(&asker->answered);
}

static void ask(struct rig *rig, struct asker *asker, const char *host, uint16_t port)
{
	struct resolver_request *request = NULL;

	sem_init(&asker->answered, 0, 0);
	assert_int_equal(
		resolver_ask(rig->resolver, &rig->worker, host, port, asker, on_answer, &request),
		0);
	assert_non_null(request);
}

static void await(struct asker *asker)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	assert_int_equal(sem_timedwait(&asker->answered, &until), 0);
	sem_destroy(&asker->answered);
}

static void expect_address(struct asker *asker, int family, const char *ip, uint16_t port)
{
	const struct addrinfo *first = asker->request->addresses;
	union conn_address want = {0};

	assert_int_equal(asker->request->error, 0);
	assert_non_null(first);
	assert_int_equal(first->ai_family, family);
	assert_int_equal(first->ai_socktype, SOCK_STREAM);
	memcpy(&want, first->ai_addr, first->ai_addrlen);
	assert_int_equal(ntohs(want.in.sin_port), port);
	if (family == AF_INET)
		assert_int_equal(want.in.sin_addr.s_addr, inet_addr(ip));
	resolver_request_free(asker->request);
}

static void test_answers(void **state)
{
	struct asker v4, v6, name;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	assert_int_equal(worker_start(&rig.worker), 0);
	ask(&rig, &v4, "127.0.0.9", 443);
	await(&v4);
	assert_true(pthread_equal(v4.worker_thread, rig.worker.thread));
	expect_address(&v4, AF_INET, "127.0.0.9", 443);
	ask(&rig, &v6, "::1", 65535);
	await(&v6);
	expect_address(&v6, AF_INET6, NULL, 65535);
	ask(&rig, &name, "localhost", 1); /* from /etc/hosts: no server is asked */
	await(&name);
	assert_int_equal(name.request->error, 0);
	resolver_request_free(name.request);
	close_rig(&rig);
}

/* What cannot be a name is an answer too. */
static void test_no_such_name(void **state)
{
	struct asker asker;
	struct rig rig;

	(void)state;
	open_rig(&rig);
	assert_int_equal(worker_start(&rig.worker), 0);
	ask(&rig, &asker, "not a name..", 443);
	await(&asker);
	assert_int_not_equal(asker.request->error, 0);
	assert_null(asker.request->addresses);
	resolver_request_free(asker.request);
	close_rig(&rig);
}

static void test_many(void **state)
{
	static struct asker askers[MANY];
	struct rig rig;

	(void)state;
	open_rig(&rig);
	assert_int_equal(worker_start(&rig.worker), 0);
	for (int i = 0; i < MANY; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "127.0.%d.%d", i / 200, 1 + i % 200);
		ask(&rig, &askers[i], ip, (uint16_t)(1000 + i));
	}
	for (int i = 0; i < MANY; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "127.0.%d.%d", i / 200, 1 + i % 200);
		await(&askers[i]);
		expect_address(&askers[i], AF_INET, ip, (uint16_t)(1000 + i));
	}
	close_rig(&rig);
}

static void on_unwanted(struct resolver_request *request)
{
	(void)request;
	fail_msg("answered though nobody asks any more");
}

/* An asker that has gone hears nothing, and what was for it is freed (the leak checker looks). */
static void test_cancelled(void **state)
{
	struct resolver_request *request;
	struct rig rig;
	int asker;

	(void)state;
	open_rig(&rig);
	/* The worker's thread is not running: this one is the worker's. */
	for (int i = 0; i < 50; i++) {
		assert_int_equal(resolver_ask(rig.resolver, &rig.worker, "127.0.0.1", 1, &asker,
					      on_unwanted, &request),
				 0);
		resolver_cancel(request);
	}
	poll(NULL, 0, 50);
	close_rig(&rig);
}

/* No end of questions: threads are bounded, what is too much is refused, and all is freed. */
static void test_bounded(void **state)
{
	int asker, err = 0;
	struct resolver_request *request;
	struct rig rig;

	(void)state;
	assert_threads(threads_at_start);
	open_rig(&rig);
	for (int i = 0; i < 5000 && !err; i++) {
		err = resolver_ask(rig.resolver, &rig.worker, "127.0.0.1", 1, &asker, on_unwanted,
				   &request);
		if (!err)
			resolver_cancel(request);
		else
			assert_null(request);
	}
	assert_true(err == 0 || err == -EAGAIN);
	assert_in_range(count_entries("/proc/self/task") - threads_at_start, 1, 64);
	close_rig(&rig);
	assert_threads(threads_at_start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_no_such_name),
		cmocka_unit_test(test_many),    cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
