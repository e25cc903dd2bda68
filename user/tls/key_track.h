/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_KEY_TRACK_H
#define KSPLIT_TLS_KEY_TRACK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/key_schedule.h"
#include "tls/ktls.h"

/* Who is given the lines of a key log (SSLKEYLOGFILE format), on the thread of the handshake. */
struct key_log {
	void (*line)(void *ctx, const char *line);
	void *ctx;
};

/*
 * What has to be known of an SSL object before its keys can be taken over by somebody else: traffic
 * secrets and the number of records that each direction has seen since its keys changed. OpenSSL
 * tells both only by callbacks (SSL_CTX_set_keylog_callback(3), SSL_set_msg_callback(3)).
 *
 * Indexes are enum ktls_direction as the socket sees it: KTLS_TX is what we send.
 */
struct key_track {
	struct tls_kdf *kdf;	     /* not owned */
	struct key_log log;	     /* zeroed: nobody; set after key_track_attach */
	struct tls_secret secret[2]; /* TLS 1.3 only */
	uint64_t records[2];
	bool is_server;
	int alert_received, alert_sent; /* last alert's description, -1: none */
	uint32_t key_updates;	     /* received */
	bool renegotiation_wanted;   /* by a server: HelloRequest (RFC 5246 7.4.1.1) */
};

/* Callbacks for every SSL object that a context makes. Objects without a track are left alone. */
void key_track_prepare(SSL_CTX *ctx);

/*
 * Start tracking a new SSL object (before its handshake). `track` must outlive `ssl`; neither owns
 * the other.
 */
void key_track_attach(struct key_track *track, SSL *ssl, bool is_server, struct tls_kdf *kdf);

/*
 * The keys that protect the next record of a direction, sequence number included. The handshake
 * must be complete. 0 (the caller wipes *out), -ENOTSUP when the cipher suite is none of enum
 * tls_aead, -EIO.
 */
int key_track_keys(const struct key_track *track, const SSL *ssl, enum ktls_direction direction,
		   struct tls_keys *out);

/* Forget one direction's secret. */
void key_track_wipe(struct key_track *track, enum ktls_direction direction);

#endif
