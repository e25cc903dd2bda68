/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_END_RIG_H
#define KSPLIT_TESTS_END_RIG_H

/*
 * One relay end on a real TCP connection, and its peer: an OpenSSL of its own (or a bare socket) in
 * the same thread. Include after cmocka.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cert_maker.h"
#include "relay/end.h"
#include "tcp_pair.h"
#include "tls/error_alert.h"
#include "tls/record_seal.h"
#include "tls_pair.h"

#define PATIENCE_MS 30000 /* an emulated processor is slow */
#define SCRATCH_LEN (128 * 1024)

/* What a worker would have, made once for a test program. */
struct lab {
	struct ktls_support support;
	struct tls_kdf *kdf;
	struct tls_context *context;
	EVP_PKEY *leaf_key;
	X509 *leaf;
	struct out_pool out_pool;
	struct stats stats;
	uint8_t scratch[SCRATCH_LEN];
};

static inline void lab_open(struct lab *lab)
{
	const uint8_t seed[] = "the same sizes in every run";
	struct tls_context_options options = {0};
	char error[256] = "";
	unsigned int start = 0;

	for (size_t i = 0; i < sizeof(seed); i++)
		start = start * 31 + seed[i];
	srandom(start);
	assert_int_equal(ktls_probe(&lab->support), 0);
	assert_int_equal(tls_kdf_new(&lab->kdf), 0);
	lab->leaf_key = make_test_key("P-256");
	lab->leaf = make_test_cert(&(struct cert_spec){.cn = "leaf", .key = lab->leaf_key});
	options.resumption.client_tickets = true;
	if (tls_context_new(&options, &lab->context, error, sizeof(error)))
		fail_msg("%s", error);
	printf("kernel TLS: %s%s\n", lab->support.ulp ? "yes" : "no",
	       lab->support.rekey ? ", with key updates" : "");
}

static inline void lab_close(struct lab *lab)
{
	tls_context_free(lab->context);
	tls_kdf_free(lab->kdf);
	X509_free(lab->leaf);
	EVP_PKEY_free(lab->leaf_key);
	out_pool_free(&lab->out_pool);
}

static inline uint64_t lab_count(const struct lab *lab, enum stats_counter counter)
{
	return atomic_load(&lab->stats.counters[counter]);
}

/* --- the peer --- */

struct peer {
	int fd;
	SSL *ssl;               /* NULL: bare */
	struct key_track track; /* what it was told: alerts, key updates */
	struct tls_keys keys;   /* records made by hand */
	bool by_hand;
};

enum peer_event {
	PEER_DATA,
	PEER_AGAIN,
	PEER_CLOSE_NOTIFY,
	PEER_FIN,
	PEER_ALERT,
	PEER_RESET,
	PEER_BROKEN
};

static inline enum peer_event peer_event_of(struct peer *peer, int result, int *alert)
{
	unsigned long error = ERR_peek_last_error();

	switch (SSL_get_error(peer->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return PEER_AGAIN;
	case SSL_ERROR_ZERO_RETURN: return PEER_CLOSE_NOTIFY;
	case SSL_ERROR_SYSCALL: return errno == ECONNRESET ? PEER_RESET : PEER_FIN;
	default: break;
	}
	if (ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return PEER_FIN;
	*alert = error_alert(error);
	return *alert < 0 ? PEER_BROKEN : PEER_ALERT;
}

/* Read what is there; *alert is set for PEER_ALERT. Never waits. */
static inline enum peer_event peer_read(struct peer *peer, void *buf, size_t size, size_t *len,
					int *alert)
{
	ssize_t n;
	int result;

	*len = 0;
	if (peer->ssl) {
		ERR_clear_error();
		result = SSL_read_ex(peer->ssl, buf, size, len);
		return result == 1 ? PEER_DATA : peer_event_of(peer, result, alert);
	}
	n = recv(peer->fd, buf, size, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? PEER_AGAIN : PEER_RESET;
	*len = (size_t)n;
	return n ? PEER_DATA : PEER_FIN;
}

/* Write what fits; returns how much (TLS: all or nothing, so call again with the same bytes). */
static inline size_t peer_write(struct peer *peer, const void *buf, size_t len)
{
	size_t n = 0;
	ssize_t sent;
	int result;

	if (peer->ssl) {
		ERR_clear_error();
		result = SSL_write_ex(peer->ssl, buf, len, &n);
		if (result != 1)
			assert_int_equal(SSL_get_error(peer->ssl, result), SSL_ERROR_WANT_WRITE);
		return n;
	}
	sent = send(peer->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	assert_true(sent >= 0 || errno == EAGAIN);
	return sent < 0 ? 0 : (size_t)sent;
}

static inline void peer_send_bytes(struct peer *peer, const void *buf, size_t len)
{
	assert_int_equal(send(peer->fd, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Seal a record of any type (at most 256 bytes) that OpenSSL would not send. Afterwards its own
 * SSL_write is of no more use. */
static inline size_t peer_seal(struct peer *peer, uint8_t type, const void *buf, size_t len,
			       uint8_t record[512])
{
	ssize_t n;

	if (!peer->by_hand)
		assert_int_equal(key_track_keys(&peer->track, peer->ssl, KTLS_TX, &peer->keys), 0);
	peer->by_hand = true;
	n = tls_record_seal(&peer->keys, type, buf, len, record, 512);
	assert_true(n > 0);
	return (size_t)n;
}

static inline void peer_send_sealed(struct peer *peer, uint8_t type, const void *buf, size_t len)
{
	uint8_t record[512];

	peer_send_bytes(peer, record, peer_seal(peer, type, buf, len, record));
}

static inline void peer_reset(struct peer *peer)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(peer->fd);
	peer->fd = -1;
}

/* Wait until a descriptor is readable; kernel TLS may need a moment for a record. */
static inline void wait_readable(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
}

/* As peer_read, but wait for something. */
static inline enum peer_event peer_await(struct peer *peer, void *buf, size_t size, size_t *len,
					 int *alert)
{
	enum peer_event event;

	while ((event = peer_read(peer, buf, size, len, alert)) == PEER_AGAIN)
		wait_readable(peer->fd);
	return event;
}

static inline void peer_expect(struct peer *peer, const void *bytes, size_t len)
{
	uint8_t *got = malloc(len);
	size_t at = 0, n;
	int alert;

	assert_non_null(got);
	for (; at < len; at += n)
		assert_int_equal(peer_await(peer, got + at, len - at, &n, &alert), PEER_DATA);
	assert_memory_equal(got, bytes, len);
	free(got);
}

/* --- the end --- */

struct end_options {
	const struct tls_suite *suite; /* NULL: raw */
	bool is_client_side;           /* of the end: its peer is a TLS client */
	bool rx_kernel, tx_kernel;
	uint64_t record_limit;
	bool narrow; /* small socket buffers */
};

struct end_rig {
	struct lab *lab;
	struct end_options options;
	struct tcp_pair tcp;
	int fd;
	struct peer peer;
	struct tls_session session;
	struct out_buffer out;
	struct relay_end end;
};

static inline SSL *peer_new_ssl(struct end_rig *rig)
{
	const struct tls_suite *suite = rig->options.suite;
	bool is_server = !rig->options.is_client_side;
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	SSL *ssl;

	assert_non_null(ctx);
	if (is_server)
		tls_pair_certify(ctx);
	SSL_CTX_set_min_proto_version(ctx, suite->version);
	SSL_CTX_set_max_proto_version(ctx, suite->version);
	if (suite->version == 0x0304)
		assert_int_equal(SSL_CTX_set_ciphersuites(ctx, suite->name), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, suite->name), 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	key_track_prepare(ctx);
	ssl = SSL_new(ctx);
	assert_non_null(ssl);
	SSL_CTX_free(ctx);
	assert_int_equal(SSL_set_fd(ssl, rig->peer.fd), 1);
	key_track_attach(&rig->peer.track, ssl, is_server, rig->lab->kdf);
	if (is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static inline void rig_new_session(struct end_rig *rig)
{
	static const struct tls_upstream_target target = {.sni = "test"};
	static const uint8_t leaf_id[32] = {1};
	struct lab *lab = rig->lab;
	const struct tls_credential leaf = {.cert = lab->leaf, .key = lab->leaf_key};
	int err;

	if (rig->options.is_client_side)
		err = tls_session_accept(&rig->session, lab->context, rig->fd, &rig->out, lab->kdf,
					 &leaf, leaf_id);
	else
		err = tls_session_connect(&rig->session, lab->context, rig->fd, &rig->out, lab->kdf,
					  &target);
	assert_int_equal(err, 0);
}

static inline void rig_shake_hands(struct end_rig *rig)
{
	enum tls_step step = TLS_STEP_AGAIN;
	struct tls_failure failure = {0};
	int peer_done = 0;

	for (int idle = 0; step != TLS_STEP_DONE || peer_done != 1; idle++) {
		if (peer_done != 1)
			peer_done = SSL_do_handshake(rig->peer.ssl);
		if (step != TLS_STEP_DONE)
			step = tls_session_step(&rig->session, &failure);
		if (step == TLS_STEP_FAILED)
			fail_msg("handshake: %s", failure.text);
		assert_true(out_buffer_empty(&rig->out));
		assert_true(idle < PATIENCE_MS);
		if (idle > 4)
			poll(NULL, 0, 1);
	}
	ERR_clear_error();
}

/* Does this kernel do what is asked for? Otherwise the end could not be made. */
static inline bool rig_possible(const struct lab *lab, const struct end_options *options)
{
	int row = options->suite ? options->suite->version - 0x0303 : 0;

	if (!options->suite)
		return true;
	return (!options->rx_kernel || lab->support.rx[row][options->suite->aead]) &&
	       (!options->tx_kernel || lab->support.tx[row][options->suite->aead]);
}

static inline void rig_push_keys(struct end_rig *rig, bool wanted, enum ktls_direction direction)
{
	if (wanted)
		assert_int_equal(tls_session_to_kernel(&rig->session, rig->fd, direction,
						       &rig->lab->support),
				 KSPLIT_NONE);
}

/* As the daemon does it: handshake, keys into the kernel, what is not needed any more freed. */
static inline void rig_start_tls(struct end_rig *rig)
{
	const struct end_options *options = &rig->options;

	if (options->rx_kernel || options->tx_kernel)
		assert_int_equal(ktls_install_ulp(rig->fd), 0);
	rig->peer.ssl = peer_new_ssl(rig);
	rig_new_session(rig);
	rig_shake_hands(rig);
	rig_push_keys(rig, options->tx_kernel, KTLS_TX);
	rig_push_keys(rig, options->rx_kernel, KTLS_RX);
}

static inline void rig_tcp_open(struct end_rig *rig)
{
	int size = 64 * 1024, on = 1;

	tcp_pair_listen(&rig->tcp, TCP_PAIR_V4, 0);
	if (rig->options.narrow)
		setsockopt(rig->tcp.listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	tcp_pair_connect(&rig->tcp, tcp_pair_port(&rig->tcp));
	if (rig->options.narrow) {
		setsockopt(rig->tcp.server, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(rig->tcp.client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(rig->tcp.client, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	/* As the daemon's sockets; and what a peer writes is there when it has been written. */
	setsockopt(rig->tcp.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(rig->tcp.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rig->fd = rig->options.is_client_side ? rig->tcp.server : rig->tcp.client;
	rig->peer.fd = rig->options.is_client_side ? rig->tcp.client : rig->tcp.server;
	fcntl(rig->fd, F_SETFL, O_NONBLOCK);
	fcntl(rig->peer.fd, F_SETFL, O_NONBLOCK);
}

static inline void rig_open(struct end_rig *rig, struct lab *lab, const struct end_options *options)
{
	struct relay_end_options end = {
		.out = &rig->out,
		.support = &lab->support,
		.stats = &lab->stats,
		.is_client_side = options->is_client_side,
		.rx_kernel = options->rx_kernel,
		.tx_kernel = options->tx_kernel,
		.record_limit = options->record_limit,
	};

	memset(rig, 0, sizeof(*rig));
	rig->lab = lab;
	rig->options = *options;
	rig_tcp_open(rig);
	out_buffer_init(&rig->out, &lab->out_pool);
	if (options->suite) {
		rig_start_tls(rig);
		end.session = &rig->session;
		end.version = options->suite->version;
		end.suite = (uint16_t)SSL_CIPHER_get_protocol_id(
			SSL_get_current_cipher(rig->session.ssl));
		if (options->rx_kernel && options->tx_kernel)
			tls_session_release(&rig->session);
		else if (!options->rx_kernel)
			tls_session_read_ahead(&rig->session);
	}
	end.fd = rig->fd;
	relay_end_init(&rig->end, &end);
}

static inline void rig_close(struct end_rig *rig)
{
	SSL_free(rig->peer.ssl);
	tls_session_free(&rig->session);
	out_buffer_reset(&rig->out);
	tls_keys_wipe(&rig->peer.keys);
	if (rig->peer.fd >= 0)
		close(rig->peer.fd);
	close(rig->fd);
	close(rig->tcp.listener);
	ERR_clear_error();
}

/* Read from the end; wait for something. */
static inline enum end_event rig_read(struct end_rig *rig, size_t *len, uint8_t alert[2])
{
	struct lab *lab = rig->lab;
	enum end_event event;

	*len = 0;
	alert[0] = alert[1] = 0xee;
	while ((event = relay_end_read(&rig->end, lab->scratch, sizeof(lab->scratch), len,
				       alert)) == END_AGAIN)
		wait_readable(rig->fd);
	return event;
}

/* All of these bytes come out of the end next. */
static inline void rig_expect(struct end_rig *rig, const void *bytes, size_t len)
{
	const uint8_t *want = bytes;
	uint8_t alert[2];
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		assert_int_equal(rig_read(rig, &n, alert), END_DATA);
		assert_true(n > 0 && n <= len - at);
		assert_memory_equal(rig->lab->scratch, want + at, n);
	}
}

static inline enum end_event rig_read_end(struct end_rig *rig)
{
	uint8_t alert[2];
	size_t len;

	return rig_read(rig, &len, alert);
}

/* As the pump does it: flush, then write. */
static inline void rig_write(struct end_rig *rig, const void *bytes, size_t len)
{
	int err;

	while ((err = relay_end_flush(&rig->end)) == -EAGAIN)
		poll(NULL, 0, 1);
	assert_int_equal(err, 0);
	assert_int_equal(relay_end_write(&rig->end, bytes, len), 0);
}

/* Bytes that no two streams have in common, made faster than by a call for each. */
static inline void fill_random(uint8_t *bytes, size_t len)
{
	uint64_t x = (uint64_t)random() << 32 | (uint64_t)random() | 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)x;
	}
}

#endif
