// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "observe/event_queue.h"

#define SIZE   65536 /* the smallest */
#define HEADER 8     /* of a record */

static struct event_queue *queue;
static int wake_fd;

static int setup(void **state)
{
	(void)state;
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return wake_fd < 0 || event_queue_new(1, wake_fd, &queue);
}

static int teardown(void **state)
{
	(void)state;
	event_queue_free(queue);
	return close(wake_fd);
}

static uint64_t wakeups(void)
{
	uint64_t count = 0;

	return read(wake_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* A record that begins with its number. */
static bool put(enum event_queue_kind kind, uint32_t number, size_t len)
{
	static uint8_t data[SIZE];

	memset(data, (int)(number & 0x7f) + 1, len);
	memcpy(data, &number, sizeof(number));
	return event_queue_put(queue, kind, data, len);
}

static void expect(enum event_queue_kind kind, uint32_t number, size_t len)
{
	enum event_queue_kind got_kind;
	size_t got_len;
	const uint8_t *data = event_queue_peek(queue, &got_kind, &got_len);

	assert_non_null(data);
	assert_int_equal((uintptr_t)data % 8, 0);
	assert_int_equal(got_kind, kind);
	assert_int_equal(got_len, len);
	assert_memory_equal(data, &number, sizeof(number));
	for (size_t i = sizeof(number); i < len; i++)
		assert_int_equal(data[i], (number & 0x7f) + 1);
	event_queue_take(queue);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], 0);
}

static void expect_none(void)
{
	enum event_queue_kind kind;
	size_t len;

	assert_null(event_queue_peek(queue, &kind, &len));
}

static void test_order(void **state)
{
	(void)state;
	expect_none();
	assert_true(put(EVENT_QUEUE_OPEN, 1, 100));
	assert_true(put(EVENT_QUEUE_HEAD, 2, 4));
	assert_true(put(EVENT_QUEUE_CLOSE, 3, 1001));
	expect(EVENT_QUEUE_OPEN, 1, 100);
	expect(EVENT_QUEUE_HEAD, 2, 4);
	expect(EVENT_QUEUE_CLOSE, 3, 1001);
	expect_none();
	assert_int_equal(event_queue_dropped(queue), 0);
}

/* Many times around, with lengths that leave all kinds of remainders at the memory's end. */
static void test_wrap_around(void **state)
{
	uint32_t written = 0, read = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		while (written - read < 1 + (uint32_t)round % 9) {
			assert_true(put(EVENT_QUEUE_HEAD, written, 4 + written * 37 % 4100));
			written++;
		}
		while (read < written - round % 2) {
			expect(EVENT_QUEUE_HEAD, read, 4 + read * 37 % 4100);
			read++;
		}
	}
	assert_int_equal(event_queue_dropped(queue), 0);
}

/* A record that does not fit before the end begins at the begin again, nothing goes missing. */
static void test_fill(void **state)
{
	(void)state;
	for (size_t rest = 8; rest <= 64; rest += 8) {
		size_t first = SIZE / 2 - HEADER, second = SIZE / 2 - HEADER - rest;

		event_queue_free(queue);
		assert_int_equal(event_queue_new(1, wake_fd, &queue), 0);
		assert_true(put(EVENT_QUEUE_OPEN, 1, first));
		expect(EVENT_QUEUE_OPEN, 1, first);
		assert_true(put(EVENT_QUEUE_OPEN, 2, second));
		assert_true(put(EVENT_QUEUE_OPEN, 3, 100)); /* `rest` bytes were left */
		assert_true(put(EVENT_QUEUE_OPEN, 4, 100));
		expect(EVENT_QUEUE_OPEN, 2, second);
		expect(EVENT_QUEUE_OPEN, 3, 100);
		expect(EVENT_QUEUE_OPEN, 4, 100);
		expect_none();
	}
}

/* Heads stop at three quarters; the rest is for what opens and closes; then that is dropped too. */
static void test_full(void **state)
{
	uint32_t heads = 0, closes = 0;

	(void)state;
	while (put(EVENT_QUEUE_HEAD, heads, 1024 - HEADER))
		heads++;
	assert_int_equal(heads, 48);
	assert_int_equal(event_queue_dropped(queue), 1);
	while (put(EVENT_QUEUE_CLOSE, closes, 1024 - HEADER))
		closes++;
	assert_int_equal(closes, 16);
	assert_int_equal(event_queue_dropped(queue), 2);
	assert_false(put(EVENT_QUEUE_OPEN, 0, 4));
	assert_int_equal(event_queue_dropped(queue), 3);
	for (uint32_t i = 0; i < heads; i++)
		expect(EVENT_QUEUE_HEAD, i, 1024 - HEADER);
	for (uint32_t i = 0; i < closes; i++)
		expect(EVENT_QUEUE_CLOSE, i, 1024 - HEADER);
	expect_none();
	assert_true(put(EVENT_QUEUE_HEAD, 1, 4)); /* there is room again */
	assert_false(put(EVENT_QUEUE_OPEN, 1, SIZE));
}

/* Once when a quarter is full, and again a quarter later, not for every record. */
static void test_wake_up(void **state)
{
	(void)state;
	for (int i = 0; i < 15; i++)
		assert_true(put(EVENT_QUEUE_HEAD, 0, 1024 - HEADER));
	assert_int_equal(wakeups(), 0);
	for (int i = 0; i < 10; i++)
		assert_true(put(EVENT_QUEUE_HEAD, 0, 1024 - HEADER));
	assert_int_equal(wakeups(), 1);
	for (int i = 0; i < 10; i++)
		assert_true(put(EVENT_QUEUE_HEAD, 0, 1024 - HEADER));
	assert_int_equal(wakeups(), 1);
	for (int i = 0; i < 35; i++)
		expect(EVENT_QUEUE_HEAD, 0, 1024 - HEADER);
	for (int i = 0; i < 100; i++) {
		assert_true(put(EVENT_QUEUE_HEAD, 0, 1024 - HEADER));
		expect(EVENT_QUEUE_HEAD, 0, 1024 - HEADER);
	}
	assert_int_equal(wakeups(), 0); /* it keeps up */
}

#define RECORDS 1000000u

static size_t length_of(uint32_t number)
{
	return 4 + number * 2654435761u % 90;
}

/* Waits for room, unlike any worker: every record has to arrive. */
static void *writer(void *arg)
{
	for (uint32_t i = 0; i < RECORDS; i++)
		while (!put(EVENT_QUEUE_CLOSE, i, length_of(i)))
			sched_yield();
	return arg;
}

static void test_two_threads(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	for (uint32_t i = 0; i < RECORDS;) {
		enum event_queue_kind kind;
		size_t len;
		const void *data = event_queue_peek(queue, &kind, &len);
		uint32_t number;

		if (!data) {
			sched_yield();
			continue;
		}
		memcpy(&number, data, sizeof(number));
		if (kind != EVENT_QUEUE_CLOSE || number != i || len != length_of(i) ||
		    (len > 4 && ((const uint8_t *)data)[len - 1] != (i & 0x7f) + 1))
			fail_msg("record %u: number %u, %zu bytes", i, number, len);
		event_queue_take(queue);
		i++;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	expect_none();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrap_around, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wake_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
