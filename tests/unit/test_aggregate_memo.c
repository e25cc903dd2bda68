// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "aggregate_rig.h"
#include "observe/aggregate_memo.h"

#define CONNS  6
#define ROUNDS 20000

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*seed * below >> 32);
}

/* One of few requests, mostly the last one again, so that memos fit and series come and go. */
static void vary(struct observe_request *request, uint32_t *seed)
{
	static const char *const paths[] = {"/", "/a/42", "/a/43", "/b?x", "/c", "/d/e", "/f"};
	static const char *const hosts[] = {"", "a.example", "b.example:8080"};

	request->request_bytes = draw(seed, 1000);
	request->last_byte_us = draw(seed, 100000);
	if (draw(seed, 3))
		return;
	strcpy(request->path, paths[draw(seed, 7)]);
	strcpy(request->host, hosts[draw(seed, 3)]);
	strcpy(request->method, draw(seed, 8) ? "GET" : "POST");
	request->status = draw(seed, 8) ? 200 : 500;
	request->version = draw(seed, 8) ? OBSERVE_HTTP_1_1 : OBSERVE_HTTP_1_0;
	request->grpc_status = draw(seed, 16) ? -1 : (int)draw(seed, 2);
	request->path_cut = draw(seed, 16) == 0;
	if (draw(seed, 16) == 0) {
		memset(request->path, 'p', 1000);
		request->path[0] = '/';
		request->path[1000] = '\0';
	}
}

static const struct series *find(const struct aggregate_snapshot *in, const struct series *like)
{
	for (size_t i = 0; i < in->series_len; i++) {
		const struct series *s = &in->series[i];

		if (s->other == like->other &&
		    (s->other || memcmp(&s->key, &like->key, sizeof(s->key)) == 0))
			return s;
	}
	return NULL;
}

static void expect_same_series(const struct aggregate_snapshot *x,
			       const struct aggregate_snapshot *y)
{
	assert_int_equal(x->series_len, y->series_len);
	for (size_t i = 0; i < x->series_len; i++) {
		const struct series *s = &x->series[i], *t = find(y, s);

		assert_non_null(t);
		assert_int_equal(s->count, t->count);
		assert_int_equal(s->failures, t->failures);
		assert_int_equal(s->request_bytes.sum, t->request_bytes.sum);
		assert_int_equal(s->last_byte_us.sum, t->last_byte_us.sum);
	}
}

/* Which series a full table keeps depends on a random secret, but not what all have together. */
static void expect_same_sums(const struct aggregate_snapshot *x, const struct aggregate_snapshot *y)
{
	const struct aggregate_snapshot *both[] = {x, y};
	uint64_t sums[2][4] = {{0}};

	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < both[i]->series_len; k++) {
			const struct series *s = &both[i]->series[k];

			sums[i][0] += s->count;
			sums[i][1] += s->failures;
			sums[i][2] += s->request_bytes.sum;
			sums[i][3] += s->last_byte_us.sum;
		}
	}
	assert_memory_equal(sums[0], sums[1], sizeof(sums[0]));
	assert_int_equal(sums[0][0], ROUNDS);
	assert_true(x->series_evicted > 0 || x->max_series == 0);
}

static void expect_same(const struct rig *a, const struct rig *b, bool evicts)
{
	struct aggregate_snapshot x, y;

	assert_int_equal(aggregate_snapshot(a->aggregate, &x), 0);
	assert_int_equal(aggregate_snapshot(b->aggregate, &y), 0);
	assert_int_equal(x.requests, y.requests);
	if (evicts)
		expect_same_sums(&x, &y);
	else
		expect_same_series(&x, &y);
	assert_int_equal(x.endpoints_len, y.endpoints_len);
	for (size_t i = 0; i < x.endpoints_len; i++) {
		uint64_t in_x = 0, in_y = 0;

		/* In no order, but the same number of requests for the same address. */
		for (size_t k = 0; k < x.endpoints_len; k++) {
			const union conn_address *address = &x.endpoints[i].address;

			if (!memcmp(&x.endpoints[k].address, address, sizeof(*address)))
				in_x += x.endpoints[k].requests;
			if (!memcmp(&y.endpoints[k].address, address, sizeof(*address)))
				in_y += y.endpoints[k].requests;
		}
		assert_int_equal(in_x, in_y);
	}
	aggregate_snapshot_free(&x);
	aggregate_snapshot_free(&y);
}

/* Whatever is remembered, what is counted is the same as without a memo. */
static void compare(uint32_t max_series, uint32_t max_endpoints, bool evicts)
{
	struct aggregate_memo memos[CONNS] = {0};
	struct observe_request requests[CONNS];
	struct rig with, without;
	uint32_t seed = 11;

	rig_init(&with, max_series, max_endpoints);
	rig_init(&without, max_series, max_endpoints);
	for (int i = 0; i < CONNS; i++)
		requests[i] = with.request;
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t conn = draw(&seed, CONNS);

		vary(&requests[conn], &seed);
		rig_set_ip(&with, 0xc0000200 + conn / 2);
		strcpy(with.conn.server_name, conn % 2 ? "" : "shop.example");
		rig_sleep(&with, 10);
		rig_sleep(&without, 10);
		without.conn = with.conn;
		aggregate_add_request_again(with.aggregate, &with.conn, &memos[conn],
					    &requests[conn]);
		aggregate_add_request(without.aggregate, &without.conn, &requests[conn]);
	}
	expect_same(&with, &without, evicts);
	rig_free(&with);
	rig_free(&without);
}

static void test_same_figures(void **state)
{
	(void)state;
	compare(1000, 100, false);
}

static void test_same_figures_with_evictions(void **state)
{
	(void)state;
	compare(5, 2, true);
	compare(1, 1, true);
	compare(0, 0, true);
}

/* Whatever a connection's requests differ in tells them apart. */
static void test_what_fits(void **state)
{
	static const struct key_hash secret = {.point = 1234567890123456789};
	struct series_node *series = (struct series_node *)&secret;
	struct aggregate_memo memo = {0};
	struct rig rig;
	uint64_t hash;

	(void)state;
	rig_init(&rig, 10, 10);
	strcpy(rig.request.method, "GET");
	strcpy(rig.request.host, "a.example");
	strcpy(rig.request.path, "/p");
	hash = aggregate_memo_hash(&secret, &rig.request);
	aggregate_memo_set(&memo, hash, series, 0);
	assert_ptr_equal(aggregate_memo_find(&memo, hash, 0), series);
	rig.request.request_bytes++;
	rig.request.complete = !rig.request.complete;
	assert_true(aggregate_memo_hash(&secret, &rig.request) == hash);

	for (int i = 0; i < 7; i++) {
		struct observe_request other = rig.request;

		switch (i) {
		case 0: other.status++; break;
		case 1: other.version = OBSERVE_HTTP_2; break;
		case 2: other.grpc_status++; break;
		case 3: strcpy(other.method, "PUT"); break;
		case 4: strcpy(other.host, "a.example:1"); break;
		case 5: strcpy(other.path, "/q"); break;
		default: /* the same bytes, divided elsewhere */
			strcpy(other.host, "a.exampl");
			strcpy(other.path, "e/p");
		}
		assert_true(aggregate_memo_hash(&secret, &other) != hash);
		assert_null(aggregate_memo_find(&memo, aggregate_memo_hash(&secret, &other), 0));
	}
	rig_free(&rig);
}

/* A series that may have gone is not found, nor is what was remembered with it. */
static void test_forgets(void **state)
{
	struct aggregate_memo memo = {0};
	struct series_node *series = (struct series_node *)&memo;

	(void)state;
	for (uint64_t i = 0; i < AGGREGATE_MEMO_SLOTS; i++)
		aggregate_memo_set(&memo, i, series, 1);
	for (uint64_t i = 0; i < AGGREGATE_MEMO_SLOTS; i++)
		assert_ptr_equal(aggregate_memo_find(&memo, i, 1), series);
	assert_null(aggregate_memo_find(&memo, AGGREGATE_MEMO_SLOTS, 1)); /* another in its slot */
	for (uint64_t i = 0; i < AGGREGATE_MEMO_SLOTS; i++)
		assert_null(aggregate_memo_find(&memo, i, 2));
	aggregate_memo_set(&memo, 3, series, 2);
	aggregate_memo_set(&memo, 4, series, 3);
	assert_null(aggregate_memo_find(&memo, 3, 3));
	assert_ptr_equal(aggregate_memo_find(&memo, 4, 3), series);
}

/* A path that was cut may stand for others: it is looked at each time. Nothing of any is kept. */
static void test_keeps_no_text(void **state)
{
	static const struct aggregate_memo_slot nothing[AGGREGATE_MEMO_SLOTS];
	struct aggregate_memo memo = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, 10, 10);
	rig.request.path_cut = true;
	aggregate_add_request_again(rig.aggregate, &rig.conn, &memo, &rig.request);
	assert_memory_equal(memo.slots, nothing, sizeof(nothing));
	rig.request.path_cut = false;
	strcpy(rig.request.path, "/tell-nobody");
	aggregate_add_request_again(rig.aggregate, &rig.conn, &memo, &rig.request);
	assert_memory_not_equal(memo.slots, nothing, sizeof(nothing));
	assert_null(memmem(&memo, sizeof(memo), "tell", 4));
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_figures),
		cmocka_unit_test(test_same_figures_with_evictions),
		cmocka_unit_test(test_what_fits),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_keeps_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
