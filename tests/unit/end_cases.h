/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_END_CASES_H
#define KSPLIT_TESTS_END_CASES_H

/*
 * What a TLS end has to do, whoever holds its keys. Each case runs for every version, cipher and
 * role in a given placement of the two directions (user space or kernel). Include after cmocka.h.
 */

#include "end_rig.h"

#define ALERT_WARNING     1
#define ALERT_FATAL       2
#define HANDSHAKE_FAILURE 40
#define USER_CANCELED     90
#define NO_RENEGOTIATION  100
#define BAD_RECORD_MAC    20

struct placement {
	bool rx_kernel, tx_kernel;
};

typedef void (*end_case)(struct end_rig *rig);

/*
 * Each of the six suites in each role, `step` by `step` (3: both versions and roles are still
 * there). Returns how many of them this kernel can do.
 */
static inline int each_end(struct lab *lab, struct placement where, uint64_t record_limit,
			   size_t step, end_case run)
{
	int done = 0;

	for (size_t i = 0; i < 2 * TLS_SUITES; i += step) {
		const struct end_options options = {
			.suite = &tls_suites[i / 2],
			.is_client_side = i % 2,
			.rx_kernel = where.rx_kernel,
			.tx_kernel = where.tx_kernel,
			.record_limit = record_limit,
		};
		struct end_rig rig;

		if (!rig_possible(lab, &options))
			continue;
		rig_open(&rig, lab, &options);
		run(&rig);
		rig_close(&rig);
		done++;
	}
	return done;
}

static inline bool is_tls13(const struct end_rig *rig)
{
	return rig->options.suite->version == 0x0304;
}

/* Both ways, sizes below, at and above a record. */
static inline void case_data(struct end_rig *rig)
{
	static const size_t sizes[] = {1, 2, 1000, 16383, 16384, 16385, 50000, 3, 100000};
	static uint8_t bytes[100000];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_random(bytes, sizes[i]);
		assert_int_equal(peer_write(&rig->peer, bytes, sizes[i]), sizes[i]);
		rig_expect(rig, bytes, sizes[i]);
		assert_false(relay_end_has_pending(&rig->end));
		fill_random(bytes, sizes[i]);
		rig_write(rig, bytes, sizes[i]);
		peer_expect(&rig->peer, bytes, sizes[i]);
		assert_true(out_buffer_empty(&rig->out));
		assert_true(relay_end_settled(&rig->end));
	}
	assert_int_equal(rig->end.write_errno, 0);
	assert_int_equal(rig->peer.track.alert_received, -1);
}

/* It comes behind the data, the other direction goes on, and the FIN is seen by draining. */
static inline void case_close_notify(struct end_rig *rig)
{
	uint8_t *scratch = rig->lab->scratch;

	assert_int_equal(peer_write(&rig->peer, "last words", 10), 10);
	assert_int_equal(SSL_shutdown(rig->peer.ssl), 0);
	rig_expect(rig, "last words", 10);
	assert_int_equal(rig_read_end(rig), END_CLOSE_NOTIFY);
	rig_write(rig, "still here", 10);
	peer_expect(&rig->peer, "still here", 10);
	assert_int_equal(relay_end_drain(&rig->end, scratch, SCRATCH_LEN), END_AGAIN);
	shutdown(rig->peer.fd, SHUT_WR);
	wait_readable(rig->fd);
	assert_int_equal(relay_end_drain(&rig->end, scratch, SCRATCH_LEN), END_FIN);
	assert_int_equal(rig->session.track.alert_received, 0);
}

/* Ours: the peer sees it behind the data, and a FIN only when there is one. */
static inline void case_send_close_notify(struct end_rig *rig)
{
	uint8_t bytes[8];
	size_t len;
	int alert;

	rig_write(rig, "bye", 3);
	assert_int_equal(relay_end_send_alert(&rig->end, ALERT_WARNING, 0), 0);
	peer_expect(&rig->peer, "bye", 3);
	assert_int_equal(peer_await(&rig->peer, bytes, 8, &len, &alert), PEER_CLOSE_NOTIFY);
	assert_int_equal(rig->session.track.alert_sent, 0);
	assert_int_equal(peer_write(&rig->peer, "answer", 6), 6);
	rig_expect(rig, "answer", 6);
}

static inline void case_fin(struct end_rig *rig)
{
	assert_int_equal(peer_write(&rig->peer, "cut", 3), 3);
	shutdown(rig->peer.fd, SHUT_WR);
	rig_expect(rig, "cut", 3);
	assert_int_equal(rig_read_end(rig), END_FIN);
	assert_int_equal(rig_read_end(rig), END_FIN);
	rig_write(rig, "still here", 10);
	peer_expect(&rig->peer, "still here", 10);
}

/* Half a record is not an end in order. */
static inline void case_fin_in_record(struct end_rig *rig)
{
	uint8_t record[512];
	size_t len = peer_seal(&rig->peer, TLS_CT_DATA, "0123456789", 10, record);
	enum end_event event;

	peer_send_bytes(&rig->peer, record, len - 3);
	shutdown(rig->peer.fd, SHUT_WR);
	event = rig_read_end(rig);
	assert_true(event == END_FIN || event == END_BAD_RECORD);
}

static inline void case_reset(struct end_rig *rig)
{
	peer_reset(&rig->peer);
	assert_int_equal(rig_read_end(rig), END_RESET);
	/* Kernel TLS goes on to take bytes once the error was read: only the read tells. */
	if (rig->options.tx_kernel)
		return;
	assert_int_not_equal(relay_end_write(&rig->end, "a", 1), 0);
	assert_true(rig->end.write_errno == EPIPE || rig->end.write_errno == ECONNRESET);
}

/* A fatal alert of the peer's, behind data. */
static inline void case_alert(struct end_rig *rig)
{
	static const uint8_t fatal[] = {ALERT_FATAL, HANDSHAKE_FAILURE};
	uint8_t alert[2];
	size_t len;

	assert_int_equal(peer_write(&rig->peer, "data", 4), 4);
	peer_send_sealed(&rig->peer, TLS_CT_ALERT, fatal, 2);
	rig_expect(rig, "data", 4);
	assert_int_equal(rig_read(rig, &len, alert), END_ALERT);
	assert_memory_equal(alert, fatal, 2);
	assert_int_equal(rig->session.track.alert_received, HANDSHAKE_FAILURE);
}

/* Ours: the peer's OpenSSL names it; the records before it count. */
static inline void case_send_alert(struct end_rig *rig)
{
	static uint8_t bytes[40000];
	uint8_t byte;
	size_t len;
	int alert = -1;

	fill_random(bytes, sizeof(bytes));
	rig_write(rig, bytes, sizeof(bytes));
	peer_expect(&rig->peer, bytes, sizeof(bytes));
	assert_int_equal(relay_end_send_alert(&rig->end, ALERT_FATAL, SSL_AD_ACCESS_DENIED), 0);
	assert_int_equal(peer_await(&rig->peer, &byte, 1, &len, &alert), PEER_ALERT);
	assert_int_equal(alert, SSL_AD_ACCESS_DENIED);
	assert_int_equal(rig->session.track.alert_sent, SSL_AD_ACCESS_DENIED);
}

/* As the first record that is ever sent. */
static inline void case_send_alert_at_once(struct end_rig *rig)
{
	uint8_t byte;
	size_t len;
	int alert = -1;

	assert_int_equal(relay_end_send_alert(&rig->end, ALERT_FATAL, SSL_AD_INTERNAL_ERROR), 0);
	assert_int_equal(peer_await(&rig->peer, &byte, 1, &len, &alert), PEER_ALERT);
	assert_int_equal(alert, SSL_AD_INTERNAL_ERROR);
}

/* A flipped bit anywhere in the body: what was before it arrives, it does not. */
static inline void case_bad_record(struct end_rig *rig)
{
	uint8_t record[512], byte;
	size_t len = peer_seal(&rig->peer, TLS_CT_DATA, "good", 4, record);
	enum peer_event seen;
	int alert = -1, err;

	peer_send_bytes(&rig->peer, record, len);
	rig_expect(rig, "good", 4);
	len = peer_seal(&rig->peer, TLS_CT_DATA, "tampered with", 13, record);
	record[5 + (size_t)random() % (len - 5)] ^= (uint8_t)(1 << random() % 8);
	peer_send_bytes(&rig->peer, record, len);
	assert_int_equal(rig_read_end(rig), END_BAD_RECORD);
	/* The peer is told, once, where that is still possible. */
	err = relay_end_send_alert(&rig->end, ALERT_FATAL, BAD_RECORD_MAC);
	if (err && rig->options.rx_kernel)
		return;
	assert_int_equal(err, 0);
	seen = peer_await(&rig->peer, &byte, 1, &len, &alert);
	assert_int_equal(seen, PEER_ALERT);
	assert_int_equal(alert, BAD_RECORD_MAC);
	assert_int_equal(peer_read(&rig->peer, &byte, 1, &len, &alert) == PEER_ALERT, 0);
}

/* Headers that are none: another protocol, a version that never was, a length beyond the limit. */
static inline void case_bogus_header(struct end_rig *rig)
{
	static const char *const headers[] = {
		"GET / HTTP/1.0\r\n\r\n",
		"\x17\x09\x09\x00\x20",
		"\x17\x03\x03\xff\xff",
		"\x63\x03\x03\x00\x40",
	};
	uint8_t bytes[256] = {0};
	enum end_event event;
	static int runs;
	int which = runs++ % 4;

	memcpy(bytes, headers[which], which ? 5 : 18);
	peer_send_bytes(&rig->peer, bytes, sizeof(bytes));
	shutdown(rig->peer.fd, SHUT_WR);
	event = rig_read_end(rig);
	if (event != END_BAD_RECORD && event != END_UNEXPECTED)
		fail_msg("header %d: event %d", which, event);
}

/* Records that open but have no place here. */
static inline void case_unexpected(struct end_rig *rig)
{
	static const uint8_t finished[] = {20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	enum end_event event;

	peer_send_sealed(&rig->peer, TLS_CT_HANDSHAKE, finished, sizeof(finished));
	event = rig_read_end(rig);
	if (event != END_UNEXPECTED)
		fail_msg("%s: event %d", rig->options.suite->name, event);
}

/*
 * A server asks who we are. Nobody has offered that here, or (the kernel reads, OpenSSL need not
 * know) it was: then it is an event of its own.
 */
static inline void case_certificate_request(struct end_rig *rig)
{
	static const uint8_t request[] = {13, 0, 0, 15, 4, 1, 2, 3, 4, 0, 8, 0, 13,
					  0,  4, 0, 2,  4, 3};
	bool offered = rig->options.rx_kernel && !rig->options.is_client_side;
	enum end_event event;

	rig->session.may_be_asked = offered && rig->options.suite->aead != TLS_AEAD_AES256_GCM;
	peer_send_sealed(&rig->peer, TLS_CT_HANDSHAKE, request, sizeof(request));
	event = rig_read_end(rig);
	if (event != (rig->session.may_be_asked && is_tls13(rig) ? END_CERTIFICATE_ASKED
								 : END_UNEXPECTED))
		fail_msg("%s: event %d", rig->options.suite->name, event);
}

static inline void case_unknown_type(struct end_rig *rig)
{
	enum end_event event;

	peer_send_sealed(&rig->peer, 99, "what is it", 10);
	event = rig_read_end(rig);
	if (event != END_UNEXPECTED && event != END_BAD_RECORD)
		fail_msg("%s: event %d", rig->options.suite->name, event);
}

/* Empty data records are no end and no event; the data between them is all there. */
static inline void case_empty_records(struct end_rig *rig)
{
	for (int i = 0; i < 3; i++)
		peer_send_sealed(&rig->peer, TLS_CT_DATA, "", 0);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "one", 3);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "", 0);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "two", 3);
	rig_expect(rig, "onetwo", 6);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "", 0);
	shutdown(rig->peer.fd, SHUT_WR);
	assert_int_equal(rig_read_end(rig), END_FIN);
}

/* A warning that means nothing for the bytes. */
static inline void case_warning(struct end_rig *rig)
{
	const uint8_t warning[] = {ALERT_WARNING, USER_CANCELED};

	peer_send_sealed(&rig->peer, TLS_CT_ALERT, warning, 2);
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "on", 2);
	rig_expect(rig, "on", 2);
}

/* The next record as it is on the wire, opened with the keys that it has to be sealed with. */
static inline int peer_open_record(struct end_rig *rig, struct tls_keys *keys, uint8_t plain[512],
				   uint8_t *type)
{
	uint8_t record[512];
	size_t want = 5;

	for (size_t at = 0; at < want;) {
		ssize_t n;

		wait_readable(rig->peer.fd);
		n = recv(rig->peer.fd, record + at, want - at, 0);
		assert_true(n > 0);
		at += (size_t)n;
		if (at == 5)
			want = 5 + ((size_t)record[3] << 8 | record[4]);
		assert_true(want <= sizeof(record));
	}
	return tls_pair_open_record(keys, record, want, plain, type);
}

/*
 * TLS 1.2, a peer that wants to renegotiate. It is told no; where that cannot be said, a server's
 * wish is passed over (RFC 5246 7.4.1.1) and a client's ends the connection. What is sent next is
 * sealed right.
 */
static inline void case_renegotiation(struct end_rig *rig)
{
	static const uint8_t hello_request[4], client_hello[100] = {1, 0, 0, 96, 3, 3};
	bool from_client = rig->options.is_client_side;
	struct tls_keys keys = {0};
	uint8_t plain[512], type;
	enum end_event event;
	int len;

	if (is_tls13(rig))
		return;
	assert_int_equal(key_track_keys(&rig->peer.track, rig->peer.ssl, KTLS_RX, &keys), 0);
	peer_send_sealed(&rig->peer, TLS_CT_HANDSHAKE, from_client ? client_hello : hello_request,
			 from_client ? sizeof(client_hello) : sizeof(hello_request));
	peer_send_sealed(&rig->peer, TLS_CT_DATA, "on", 2);
	event = rig_read_end(rig);
	if (from_client && rig->options.rx_kernel && !rig->options.tx_kernel) {
		assert_int_equal(event, END_UNEXPECTED);
		return;
	}
	assert_int_equal(event, END_DATA);
	assert_memory_equal(rig->lab->scratch, "on", 2);
	rig_write(rig, "next", 4);
	len = peer_open_record(rig, &keys, plain, &type);
	assert_true(len > 0);
	if (type == TLS_CT_ALERT) {
		assert_int_equal(plain[0], ALERT_WARNING);
		assert_int_equal(plain[1], NO_RENEGOTIATION);
		len = peer_open_record(rig, &keys, plain, &type);
	} else {
		assert_true(rig->options.rx_kernel != rig->options.tx_kernel);
	}
	assert_int_equal(len, 4);
	assert_memory_equal(plain, "next", 4);
	shutdown(rig->peer.fd, SHUT_WR);
	assert_int_equal(rig_read_end(rig), END_FIN);
}

static inline uint64_t rekeys(const struct end_rig *rig)
{
	return lab_count(rig->lab, STAT_REKEYS);
}

/* Can this end go on after the peer's KeyUpdate? */
static inline bool can_follow(const struct end_rig *rig, bool requested)
{
	bool rekey = rig->lab->support.rekey;

	if (rig->options.rx_kernel && !rekey)
		return false;
	return !requested || rig->options.rx_kernel || !rig->options.tx_kernel;
}

static inline void key_update(struct end_rig *rig, bool requested)
{
	uint64_t before = lab_count(rig->lab, STAT_KEY_UPDATES);
	static uint8_t bytes[30000];

	fill_random(bytes, sizeof(bytes));
	assert_int_equal(peer_write(&rig->peer, bytes, 5000), 5000);
	assert_int_equal(SSL_key_update(rig->peer.ssl, requested ? SSL_KEY_UPDATE_REQUESTED
								 : SSL_KEY_UPDATE_NOT_REQUESTED),
			 1);
	assert_int_equal(peer_write(&rig->peer, bytes + 5000, 25000), 25000);
	if (!can_follow(rig, requested)) {
		enum end_event event = END_DATA;

		while (event == END_DATA)
			event = rig_read_end(rig);
		assert_int_equal(event, END_KEY_UPDATE);
		return;
	}
	rig_expect(rig, bytes, sizeof(bytes));
	assert_int_equal(lab_count(rig->lab, STAT_KEY_UPDATES), before + 1);
	rig_write(rig, bytes, 20000);
	peer_expect(&rig->peer, bytes, 20000);
	assert_int_equal(rig->peer.track.key_updates, requested);
}

static inline void case_key_update(struct end_rig *rig)
{
	if (is_tls13(rig))
		key_update(rig, false);
}

static inline void case_key_update_requested(struct end_rig *rig)
{
	if (is_tls13(rig))
		key_update(rig, true);
}

/* Twenty in a row, each with data of its own. */
static inline void case_many_key_updates(struct end_rig *rig)
{
	uint8_t bytes[100];

	if (!is_tls13(rig) || !can_follow(rig, true))
		return;
	for (uint32_t i = 1; i <= 20; i++) {
		fill_random(bytes, sizeof(bytes));
		SSL_key_update(rig->peer.ssl, SSL_KEY_UPDATE_REQUESTED);
		assert_int_equal(peer_write(&rig->peer, bytes, 100), 100);
		rig_expect(rig, bytes, 100);
		rig_write(rig, bytes, 100);
		peer_expect(&rig->peer, bytes, 100);
		assert_int_equal(rig->peer.track.key_updates, i);
		assert_int_equal(rig->session.track.key_updates, i);
	}
}

/* An alert after both keys were replaced is still the right one. */
static inline void case_alert_after_key_update(struct end_rig *rig)
{
	uint8_t byte;
	size_t len;
	int alert = -1;

	if (!is_tls13(rig) || !can_follow(rig, true))
		return;
	key_update(rig, true);
	assert_int_equal(relay_end_send_alert(&rig->end, ALERT_FATAL, SSL_AD_ACCESS_DENIED), 0);
	assert_int_equal(peer_await(&rig->peer, &byte, 1, &len, &alert), PEER_ALERT);
	assert_int_equal(alert, SSL_AD_ACCESS_DENIED);
}

#define LOW_LIMIT 6 /* records a key, for the case below */

/* AES-GCM in TLS 1.3: the key is replaced in time, and the data stays right. */
static inline void case_record_limit(struct end_rig *rig)
{
	bool limited = is_tls13(rig) && rig->options.suite->aead != TLS_AEAD_CHACHA20_POLY1305;
	bool can = !rig->options.tx_kernel || rig->lab->support.rekey;
	uint64_t limits = lab_count(rig->lab, STAT_RECORD_LIMITS), rekeyed = rekeys(rig);
	uint8_t bytes[200];

	for (int i = 0; i < 10 * LOW_LIMIT; i++) {
		int err = relay_end_flush(&rig->end);

		if (err == -EKEYEXPIRED) {
			assert_true(limited && !can);
			assert_true(i >= LOW_LIMIT - 2 && i <= LOW_LIMIT);
			assert_int_equal(lab_count(rig->lab, STAT_RECORD_LIMITS), limits + 1);
			return;
		}
		assert_int_equal(err, 0);
		fill_random(bytes, sizeof(bytes));
		assert_int_equal(relay_end_write(&rig->end, bytes, sizeof(bytes)), 0);
		peer_expect(&rig->peer, bytes, sizeof(bytes));
	}
	assert_true(!limited || can);
	if (limited) {
		assert_in_range(rig->peer.track.key_updates, 9, 12);
		assert_int_equal(rekeys(rig) - rekeyed, rig->peer.track.key_updates);
		assert_int_equal(lab_count(rig->lab, STAT_RECORD_LIMITS) - limits,
				 rig->peer.track.key_updates);
	} else {
		assert_int_equal(rig->peer.track.key_updates, 0);
		assert_int_equal(lab_count(rig->lab, STAT_RECORD_LIMITS), limits);
	}
}

#endif
