// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "relay/handshake_skim.h"

#define TLS12  0x0303
#define TLS13  0x0304
#define SERVER true
#define CLIENT false

#define HELLO_REQUEST 0
#define CERTIFICATE_REQUEST 13
#define CLIENT_HELLO  1
#define TICKET        4
#define KEY_UPDATE    24

/* A message of `len` body bytes, all `fill`. Returns its length with the header. */
static size_t put_message(uint8_t *at, uint8_t type, uint32_t len, uint8_t fill)
{
	at[0] = type;
	at[1] = (uint8_t)(len >> 16);
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	memset(at + 4, fill, len);
	return 4 + (size_t)len;
}

/* One record to a fresh reader. */
static int feed(uint16_t version, bool from_server, const uint8_t *bytes, size_t len,
		struct handshake_news *news)
{
	struct handshake_skim skim = {0};

	return handshake_skim_feed(&skim, version, from_server, bytes, len, news);
}

static int feed_message(uint16_t version, bool from_server, uint8_t type, uint32_t len,
			uint8_t fill, struct handshake_news *news)
{
	uint8_t bytes[512];

	return feed(version, from_server, bytes, put_message(bytes, type, len, fill), news);
}

static void test_ticket(void **state)
{
	struct handshake_news news;

	(void)state;
	assert_int_equal(feed_message(TLS13, SERVER, TICKET, 200, 7, &news), 0);
	assert_int_equal(news.tickets, 1);
	assert_false(news.key_update || news.key_update_requested || news.renegotiation);
	/* After the handshake TLS 1.2 has none (RFC 5077 3.3), and no client sends one. */
	assert_int_equal(feed_message(TLS13, CLIENT, TICKET, 200, 7, &news), -EPROTO);
	assert_int_equal(feed_message(TLS12, SERVER, TICKET, 200, 7, &news), -EPROTO);
	assert_int_equal(feed_message(TLS12, CLIENT, TICKET, 200, 7, &news), -EPROTO);
}

static void test_key_update(void **state)
{
	struct handshake_news news;

	(void)state;
	for (int from = 0; from < 2; from++) {
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 1, 0, &news), 0);
		assert_true(news.key_update);
		assert_false(news.key_update_requested);
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 1, 1, &news), 0);
		assert_true(news.key_update && news.key_update_requested);
		assert_int_equal(news.tickets, 0);
		assert_false(news.renegotiation);
		/* Unknown request, wrong length, wrong version. */
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 1, 2, &news), -EPROTO);
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 1, 255, &news), -EPROTO);
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 0, 0, &news), -EPROTO);
		assert_int_equal(feed_message(TLS13, from, KEY_UPDATE, 2, 0, &news), -EPROTO);
		assert_int_equal(feed_message(TLS12, from, KEY_UPDATE, 1, 0, &news), -EPROTO);
	}
}

/* What follows in the same record would be sealed with a key that is no more. */
static void test_bytes_behind_key_update(void **state)
{
	struct handshake_news news;
	uint8_t bytes[64];
	size_t len = put_message(bytes, KEY_UPDATE, 1, 0);

	(void)state;
	bytes[len] = TICKET;
	assert_int_equal(feed(TLS13, SERVER, bytes, len + 1, &news), -EPROTO);
	put_message(bytes + len, KEY_UPDATE, 1, 0);
	assert_int_equal(feed(TLS13, SERVER, bytes, 2 * len, &news), -EPROTO);
	len = put_message(bytes, TICKET, 20, 0);
	len += put_message(bytes + len, KEY_UPDATE, 1, 1);
	assert_int_equal(feed(TLS13, SERVER, bytes, len, &news), 0); /* before it is fine */
	assert_int_equal(news.tickets, 1);
	assert_true(news.key_update && news.key_update_requested);
}

static void test_renegotiation(void **state)
{
	struct handshake_news news;

	(void)state;
	assert_int_equal(feed_message(TLS12, SERVER, HELLO_REQUEST, 0, 0, &news), 0);
	assert_true(news.renegotiation);
	assert_int_equal(news.tickets, 0);
	assert_int_equal(feed_message(TLS12, CLIENT, CLIENT_HELLO, 200, 3, &news), 0);
	assert_true(news.renegotiation);
	assert_int_equal(feed_message(TLS12, SERVER, HELLO_REQUEST, 1, 0, &news), -EPROTO);
	assert_int_equal(feed_message(TLS12, CLIENT, HELLO_REQUEST, 0, 0, &news), -EPROTO);
	assert_int_equal(feed_message(TLS12, SERVER, CLIENT_HELLO, 200, 3, &news), -EPROTO);
	assert_int_equal(feed_message(TLS13, SERVER, HELLO_REQUEST, 0, 0, &news), -EPROTO);
	assert_int_equal(feed_message(TLS13, CLIENT, CLIENT_HELLO, 200, 3, &news), -EPROTO);
}

static void test_certificate_request(void **state)
{
	struct handshake_news news;
	uint8_t bytes[64];
	size_t len = put_message(bytes, CERTIFICATE_REQUEST, 20, 0);

	(void)state;
	assert_int_equal(feed(TLS13, SERVER, bytes, len, &news), 0);
	assert_true(news.certificate_request);
	assert_false(news.renegotiation || news.key_update);
	assert_int_equal(feed(TLS13, SERVER, bytes, len - 1, &news), 0);
	assert_false(news.certificate_request);
	len = put_message(bytes, TICKET, 20, 0);
	assert_int_equal(feed(TLS13, SERVER, bytes, len, &news), 0);
	assert_false(news.certificate_request);
}

static bool has_place(uint16_t version, bool from_server, int type)
{
	switch (type) {
	case HELLO_REQUEST: return version == TLS12 && from_server;
	case CLIENT_HELLO: return version == TLS12 && !from_server;
	case TICKET:
	case CERTIFICATE_REQUEST: return version == TLS13 && from_server;
	case KEY_UPDATE: return version == TLS13;
	default: return false;
	}
}

static void test_every_type(void **state)
{
	struct handshake_news news;

	(void)state;
	for (int type = 0; type < 256; type++) {
		uint32_t len = type == HELLO_REQUEST ? 0 : 1;

		for (int from = 0; from < 2; from++) {
			assert_int_equal(feed_message(TLS12, from, (uint8_t)type, len, 0, &news),
					 has_place(TLS12, from, type) ? 0 : -EPROTO);
			assert_int_equal(feed_message(TLS13, from, (uint8_t)type, len, 0, &news),
					 has_place(TLS13, from, type) ? 0 : -EPROTO);
		}
	}
}

/* A message that has no place is refused by its header, before its body is waited for. */
static void test_refused_early(void **state)
{
	static const uint8_t finished[] = {20, 0, 0, 32};
	struct handshake_news news;

	(void)state;
	assert_int_equal(feed(TLS13, SERVER, finished, sizeof(finished), &news), -EPROTO);
	assert_int_equal(feed(TLS13, SERVER, finished, 3, &news), 0); /* not yet known */
}

static void add_news(struct handshake_news *sum, const struct handshake_news *news)
{
	sum->tickets += news->tickets;
	sum->key_update |= news->key_update;
	sum->key_update_requested |= news->key_update_requested;
	sum->renegotiation |= news->renegotiation;
}

/* In two records, cut at every byte, and in records of one byte: the same news. */
static void test_split(void **state)
{
	uint8_t bytes[256];
	size_t len = put_message(bytes, TICKET, 90, 1);

	(void)state;
	len += put_message(bytes + len, TICKET, 0, 0);
	len += put_message(bytes + len, TICKET, 33, 2);
	len += put_message(bytes + len, KEY_UPDATE, 1, 1);
	for (size_t cut = 0; cut <= len; cut++) {
		struct handshake_skim skim = {0};
		struct handshake_news news, sum = {0};

		assert_int_equal(handshake_skim_feed(&skim, TLS13, SERVER, bytes, cut, &news), 0);
		assert_int_equal(news.key_update, cut == len);
		add_news(&sum, &news);
		assert_int_equal(
			handshake_skim_feed(&skim, TLS13, SERVER, bytes + cut, len - cut, &news),
			0);
		add_news(&sum, &news);
		assert_int_equal(sum.tickets, 3);
		assert_true(sum.key_update && sum.key_update_requested);
		assert_int_equal(skim.header_len, 0); /* at a boundary again */
	}
}

static void test_byte_by_byte(void **state)
{
	struct handshake_skim skim = {0};
	struct handshake_news news, sum = {0};
	uint8_t bytes[256];
	size_t len = put_message(bytes, HELLO_REQUEST, 0, 0);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(handshake_skim_feed(&skim, TLS12, SERVER, bytes + i, 1, &news), 0);
		assert_int_equal(news.renegotiation, i == len - 1);
	}
	len = put_message(bytes, TICKET, 100, 1);
	len += put_message(bytes + len, KEY_UPDATE, 1, 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(handshake_skim_feed(&skim, TLS13, SERVER, bytes + i, 1, &news), 0);
		assert_int_equal(news.key_update, i == len - 1);
		add_news(&sum, &news);
	}
	assert_int_equal(sum.tickets, 1);
}

/* Larger than a record can be: 64 KiB and 16 MiB of ticket, and the next message is read right. */
static void test_large_ticket(void **state)
{
	static const uint32_t lengths[] = {65535, 65536, 0xffffff};
	static uint8_t record[16384];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct handshake_skim skim = {0};
		struct handshake_news news;
		uint32_t left = lengths[i];
		uint8_t update[5];

		put_message(record, TICKET, 0, 0);
		record[1] = (uint8_t)(left >> 16);
		record[2] = (uint8_t)(left >> 8);
		record[3] = (uint8_t)left;
		assert_int_equal(handshake_skim_feed(&skim, TLS13, SERVER, record, 4, &news), 0);
		memset(record, KEY_UPDATE, sizeof(record));
		while (left > 0) {
			uint32_t n = left < sizeof(record) ? left : sizeof(record);

			assert_int_equal(news.tickets, 0);
			assert_int_equal(
				handshake_skim_feed(&skim, TLS13, SERVER, record, n, &news), 0);
			assert_false(news.key_update);
			left -= n;
		}
		assert_int_equal(news.tickets, 1);
		put_message(update, KEY_UPDATE, 1, 0);
		assert_int_equal(handshake_skim_feed(&skim, TLS13, SERVER, update, 5, &news), 0);
		assert_true(news.key_update);
	}
}

/* Noise never makes it read past a record's end (the sanitizers look), and ends in a verdict. */
static void test_noise(void **state)
{
	(void)state;
	srandom(11);
	for (int i = 0; i < 20000; i++) {
		size_t len = 1 + (size_t)random() % 40;
		uint8_t *bytes = malloc(len);
		struct handshake_news news;
		int err;

		assert_non_null(bytes);
		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(random() % 3 ? random() % 26 : 0);
		err = feed(random() % 2 ? TLS12 : TLS13, random() % 2, bytes, len, &news);
		assert_true(err == 0 || err == -EPROTO);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticket),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_bytes_behind_key_update),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_certificate_request),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_refused_early),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_large_ticket),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
