// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/learned_pass.h"
#include "core/pass_list.h"

static union conn_address ipv4(const char *ip, uint16_t port)
{
	union conn_address address = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET, ip, &address.in.sin_addr), 1);
	return address;
}

static struct pass_key named(const char *name)
{
	struct pass_key key;

	pass_key_set(&key, KSPLIT_PASS_RULE, 1, NULL, name, NULL);
	return key;
}

static size_t read_all(struct pass_list *list, uint64_t now, struct pass_entry **entries)
{
	size_t len;

	assert_int_equal(pass_list_read(list, now, entries, &len), 0);
	return len;
}

static void test_keys(void **state)
{
	const union conn_address v4 = ipv4("192.0.2.1", 1), other_port = ipv4("192.0.2.1", 2);
	union conn_address mapped = {.in6 = {.sin6_family = AF_INET6}};
	struct pass_key one, two;
	char name[400];

	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.in6.sin6_addr);
	pass_key_set(&one, KSPLIT_PASS_LEARNED, PASS_NO_RULE, &v4, "a", &v4);
	pass_key_set(&two, KSPLIT_PASS_LEARNED, PASS_NO_RULE, &mapped, "a", NULL);
	assert_memory_equal(&one, &two, sizeof(one));
	pass_key_set(&two, KSPLIT_PASS_LEARNED, PASS_NO_RULE, &other_port, "a", NULL);
	assert_memory_equal(&one, &two, sizeof(one));
	pass_key_set(&one, KSPLIT_PASS_LEARNED, PASS_NO_RULE, NULL, "", &v4);
	assert_string_equal(one.name, "192.0.2.1:1");
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	pass_key_set(&one, KSPLIT_PASS_LEARNED, PASS_NO_RULE, NULL, name, NULL);
	assert_int_equal(strlen(one.name), 255);
}

static void test_counts_and_order(void **state)
{
	const struct pass_key a = named("a"), b = named("b");
	struct pass_entry *entries;
	struct pass_list *list;

	(void)state;
	assert_int_equal(pass_list_new(10, &list), 0);
	assert_true(pass_list_empty(list));
	assert_false(pass_list_use(list, &a, 1));
	assert_int_equal(pass_list_count(list, &a, 5), 0);
	assert_int_equal(pass_list_count(list, &b, 6), 0);
	assert_int_equal(pass_list_count(list, &a, 7), 0);
	assert_false(pass_list_empty(list));
	assert_int_equal(read_all(list, 8, &entries), 2);
	assert_string_equal(entries[0].key.name, "a");
	assert_int_equal(entries[0].count, 2);
	assert_int_equal(entries[0].last_ms, 7);
	assert_int_equal(entries[1].count, 1);
	free(entries);
	pass_list_free(list);
	pass_list_free(NULL);
}

static void test_expiry(void **state)
{
	const struct pass_key a = named("a"), b = named("b");
	struct pass_entry *entries;
	struct pass_list *list;

	(void)state;
	assert_int_equal(pass_list_new(10, &list), 0);
	assert_int_equal(pass_list_put(list, &a, 100, 200), 0);
	assert_int_equal(pass_list_put(list, &b, 100, 150), 0);
	assert_true(pass_list_use(list, &a, 199));
	assert_false(pass_list_use(list, &a, 200));
	assert_false(pass_list_use(list, &a, 100)); /* it is gone */
	assert_int_equal(read_all(list, 149, &entries), 1);
	free(entries);
	assert_int_equal(read_all(list, 150, &entries), 0);
	free(entries);
	assert_true(pass_list_empty(list));
	/* Learned again: the time moves, the count stays. */
	assert_int_equal(pass_list_put(list, &a, 100, 200), 0);
	assert_true(pass_list_use(list, &a, 150));
	assert_int_equal(pass_list_put(list, &a, 160, 300), 0);
	assert_int_equal(read_all(list, 250, &entries), 1);
	assert_int_equal(entries[0].count, 1);
	free(entries);
	pass_list_free(list);
}

static void test_bound(void **state)
{
	struct pass_list *list;
	struct pass_key key;
	char name[16];

	(void)state;
	assert_int_equal(pass_list_new(3, &list), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		key = named(name);
		assert_int_equal(pass_list_count(list, &key, (uint64_t)i), 0);
		key = named("n0"); /* used all the time, so it stays */
		assert_int_equal(pass_list_count(list, &key, (uint64_t)i), 0);
	}
	assert_int_equal(pass_list_evicted(list), 2);
	assert_true(pass_list_use(list, &key, 9));
	key = named("n1");
	assert_false(pass_list_use(list, &key, 9));
	key = named("n4");
	assert_true(pass_list_use(list, &key, 9));
	pass_list_free(list);
}

#define THREADS 4
#define ROUNDS	5000

static void *hammer(void *arg)
{
	struct pass_list *list = arg;
	struct pass_entry *entries;
	struct pass_key key;
	char name[16];
	size_t len;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "n%u", i % 10);
		key = named(name);
		pass_list_count(list, &key, i);
		if (i % 100 == 0 && !pass_list_read(list, i, &entries, &len))
			free(entries);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct pass_entry *entries;
	struct pass_list *list;
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	size_t len;

	(void)state;
	assert_int_equal(pass_list_new(10, &list), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, list), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	len = read_all(list, 0, &entries);
	assert_int_equal(len, 10);
	for (size_t i = 0; i < len; i++)
		sum += entries[i].count;
	assert_int_equal(sum, THREADS * ROUNDS);
	free(entries);
	pass_list_free(list);
}

static void test_alerts(void **state)
{
	(void)state;
	assert_int_equal(learned_pass_of_alert(48), KSPLIT_PASS_LEARNED);
	assert_int_equal(learned_pass_of_alert(42), KSPLIT_PASS_LEARNED);
	assert_int_equal(learned_pass_of_alert(46), KSPLIT_PASS_LEARNED);
	assert_int_equal(learned_pass_of_alert(121), KSPLIT_PASS_ECH);
	assert_int_equal(learned_pass_of_alert(40), KSPLIT_NONE);
	assert_int_equal(learned_pass_of_alert(-1), KSPLIT_NONE);
}

static void test_learned(void **state)
{
	const union conn_address one = ipv4("192.0.2.1", 1000), other = ipv4("192.0.2.2", 1000);
	const union conn_address origin = ipv4("198.51.100.1", 443);
	const struct learned_offer bare = {0}, ech = {.ech = true};
	const struct learned_offer may_be_asked = {.post_handshake_auth = true};
	struct learned_pass *learned;

	(void)state;
	assert_int_equal(learned_pass_new(1000, 4, &learned), 0);
	assert_int_equal(learned_pass_find(learned, &one, "a", &origin, &ech, 1), KSPLIT_NONE);
	assert_true(learned_pass_add(learned, KSPLIT_PASS_LEARNED, &one, "a", &origin, 100));
	assert_true(learned_pass_add(learned, KSPLIT_PASS_ECH, &one, "e", &origin, 100));
	assert_true(learned_pass_add(learned, KSPLIT_PASS_LEARNED, &one, "", &origin, 100));
	assert_int_equal(learned_pass_find(learned, &one, "a", NULL, &bare, 1099),
			 KSPLIT_PASS_LEARNED);
	assert_int_equal(learned_pass_find(learned, &one, "", &origin, &bare, 1099),
			 KSPLIT_PASS_LEARNED);
	assert_int_equal(learned_pass_find(learned, &one, "b", &origin, &ech, 200), KSPLIT_NONE);
	assert_int_equal(learned_pass_find(learned, &other, "a", &origin, &ech, 200), KSPLIT_NONE);
	assert_int_equal(learned_pass_find(learned, &one, "e", &origin, &bare, 200), KSPLIT_NONE);
	assert_int_equal(learned_pass_find(learned, &one, "e", &origin, &ech, 200),
			 KSPLIT_PASS_ECH);
	assert_int_equal(learned_pass_find(learned, &one, "a", &origin, &ech, 1100), KSPLIT_NONE);
	assert_true(learned_pass_add(learned, KSPLIT_PASS_RENEGOTIATION, &one, "r", &origin, 100));
	assert_int_equal(learned_pass_find(learned, &one, "r", &origin, &bare, 200),
			 KSPLIT_PASS_RENEGOTIATION);
	assert_int_equal(learned_pass_find(learned, &other, "r", &origin, &bare, 200),
			 KSPLIT_NONE);
	assert_true(learned_pass_add(learned, KSPLIT_PASS_LATE_CERT, &one, "c", &origin, 100));
	assert_int_equal(learned_pass_find(learned, &one, "c", &origin, &ech, 200), KSPLIT_NONE);
	assert_int_equal(learned_pass_find(learned, &one, "c", &origin, &may_be_asked, 200),
			 KSPLIT_PASS_LATE_CERT);
	assert_int_equal(learned_pass_find(learned, &one, "e", &origin, &may_be_asked, 200),
			 KSPLIT_NONE);
	learned_pass_free(learned);

	assert_int_equal(learned_pass_new(0, 4, &learned), 0);
	assert_false(learned_pass_add(learned, KSPLIT_PASS_LEARNED, &one, "a", &origin, 100));
	assert_int_equal(learned_pass_find(learned, &one, "a", &origin, &ech, 100), KSPLIT_NONE);
	learned_pass_free(learned);
	learned_pass_free(NULL);
}

static void test_rules_are_forgotten(void **state)
{
	struct pass_key key = named("a.test"), other;
	struct pass_entry *entries;
	struct pass_list *list;

	(void)state;
	assert_int_equal(pass_list_new(10, &list), 0);
	pass_key_set(&other, KSPLIT_PASS_NOT_TLS, PASS_NO_RULE, NULL, "b.test", NULL);
	assert_int_equal(pass_list_count(list, &key, 1), 0);
	assert_int_equal(pass_list_count(list, &other, 1), 0);
	pass_list_forget_rules(list);
	assert_int_equal(read_all(list, 1, &entries), 1);
	assert_string_equal(entries[0].key.name, "b.test");
	free(entries);
	assert_int_equal(pass_list_count(list, &key, 2), 0);
	assert_int_equal(read_all(list, 2, &entries), 2);
	free(entries);
	pass_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),   cmocka_unit_test(test_counts_and_order),
		cmocka_unit_test(test_expiry), cmocka_unit_test(test_bound),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_alerts),
		cmocka_unit_test(test_learned), cmocka_unit_test(test_rules_are_forgotten),
	};

	return cmocka_run_group_tests_name("pass_list", tests, NULL, NULL);
}
