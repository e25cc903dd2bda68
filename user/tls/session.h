/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_SESSION_H
#define KSPLIT_TLS_SESSION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ksplit/reason.h>

#include "tls/context.h"
#include "tls/key_track.h"
#include "tls/ktls.h"
#include "tls/out_buffer.h"

/*
 * One side of an intercepted connection: an SSL object, its BIO and what is tracked of its keys.
 * Zeroed: nothing there.
 */
struct tls_credential;
struct tls_session;

/*
 * Upstream: the origin gave a session that can be resumed; whoever keeps it takes a reference of
 * his own. During a step, a read or a feed.
 */
typedef void (*tls_fresh_session_fn)(struct tls_session *session, SSL_SESSION *fresh);

struct tls_session {
	SSL *ssl; /* owned; NULL: not yet, or both directions are the kernel's */
	BIO *bio; /* owned by ssl */
	struct key_track track;
	uint32_t faults;  /* origin's side: of its certificate (tls/origin_faults.h) */
	int verify_error; /* the first of them: X509_V_ERR_... */
	bool strict;	  /* origin's side: no certificate with faults, whatever the profile says */
	const uint8_t *alpn; /* client side: to be chosen; not owned, outlives the handshake */
	size_t alpn_len;     /* 0: none */
	/* client side, own identities: not owned, outlive the handshake */
	const struct tls_credential *credentials;
	size_t credentials_len;
	tls_fresh_session_fn on_fresh; /* upstream; NULL: nobody keeps sessions */
	bool may_be_asked; /* upstream: for a client certificate, after the handshake */
	bool answers_later; /* ... and OpenSSL, which has one, must be there to show it */
	bool was_asked;	    /* upstream: in the handshake, for the one that is ours to show */
	bool kernel_sends;
	bool awaits_tickets; /* the kernel reads, and the SSL object is there for tickets alone */
	/* client side: tickets that it has shown and that were no good (of another key, or too old)
	 */
	bool ticket_refused;
};

enum tls_step {
	TLS_STEP_DONE,
	TLS_STEP_AGAIN,	     /* wait: readable, and writable while bytes are queued */
	TLS_STEP_CLIENT_CERT, /* upstream: the origin asks for a client certificate */
	TLS_STEP_FAILED,
};

enum tls_failure_kind {
	TLS_FAILURE_CLOSED,	/* FIN from the peer */
	TLS_FAILURE_RESET,	/* the socket failed: RST and its like */
	TLS_FAILURE_ALERT,	/* fatal alert received */
	TLS_FAILURE_UNVERIFIED, /* the peer's certificate did not verify */
	TLS_FAILURE_VERSION,	/* an origin without a version in common with us */
	TLS_FAILURE_PROTOCOL,	/* no common cipher, or nonsense on the wire */
};

struct tls_failure {
	enum tls_failure_kind kind;
	int alert;	  /* received (ALERT), or to tell the client (UNVERIFIED); else -1 */
	const char *text; /* static or OpenSSL's; never NULL */
};

struct tls_upstream_target {
	size_t profile;		 /* of the context's */
	const char *sni;	 /* "" none */
	const char *verify_name; /* that the certificate must have; NULL: any */
	const uint8_t *alpn;	 /* ProtocolNameList of the client, sent on as it is */
	size_t alpn_len;
	bool unverified;	 /* whatever certificate it has: both ends are our own */
	SSL_SESSION *resume;     /* NULL: none; a reference is taken */
	int group;		 /* of its last handshake (tls/key_groups.h); 0: not known */
	tls_fresh_session_fn on_fresh; /* see struct tls_session */
	/*
	 * Offer the origin to be asked for a certificate later: `may_be_asked`, the client does;
	 * `answers_later`, the profile's own (if it has one) is to be shown then, for which both
	 * directions stay with OpenSSL.
	 */
	bool may_be_asked, answers_later;
	bool was_asked; /* in the handshake that `resume` is from */
	bool strict;		 /* faults cannot be shown to the client: TLS_VERIFY_MIMIC refuses */
};

/* A certificate that a client is shown; nothing is owned, OpenSSL takes references. */
struct tls_credential {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) *chain; /* NULL: it is shown alone */
	const uint8_t *staple; /* DER of an OCSP response; NULL: none */
	size_t staple_len;
};

/*
 * Make an SSL object for the origin's side (connecting) or for the client's (accepting) over a
 * non-blocking socket. `out` gathers what it sends; `fd`, `out` and `kdf` stay the caller's and
 * must outlive the session. The client is shown a forged leaf: `leaf` is used during the call alone.
 * 0, -ENOMEM or -EIO.
 */
int tls_session_connect(struct tls_session *session, const struct tls_context *context, int fd,
			struct out_buffer *out, struct tls_kdf *kdf,
			const struct tls_upstream_target *target);
int tls_session_accept(struct tls_session *session, const struct tls_context *context, int fd,
		       struct out_buffer *out, struct tls_kdf *kdf,
		       const struct tls_credential *leaf, const uint8_t leaf_id[32]);

/*
 * The client's side again, with the service's own certificates: OpenSSL chooses among them (at most
 * one of each kind of key) by what the client can verify, and staples when it asks (RFC 6066 8).
 * `id` names the choice: tickets are good for it alone.
 */
int tls_session_accept_service(struct tls_session *session, const struct tls_context *context,
			       int fd, struct out_buffer *out, struct tls_kdf *kdf,
			       const struct tls_credential *credentials, size_t credentials_len,
			       const uint8_t id[32]);

/* The session that an SSL object is of. */
struct tls_session *tls_session_of(const SSL *ssl);

/* Which of its credentials was the client shown? NULL: none of them, or they are not known. */
const struct tls_credential *tls_session_shown(const struct tls_session *session);

/* Set the callbacks that sessions of each side need; once for each context. */
void tls_session_prepare_client_side(SSL_CTX *ctx);
void tls_session_prepare_upstream_side(SSL_CTX *ctx);

/*
 * Get on with the handshake as far as the socket allows. `failure` is filled for TLS_STEP_FAILED.
 */
enum tls_step tls_session_step(struct tls_session *session, struct tls_failure *failure);

/*
 * Bytes of plaintext that a record of ours may have: what a client has asked for and was granted
 * (max_fragment_length, RFC 6066 4), else 16384. After the handshake.
 */
uint16_t tls_session_record_bytes(const struct tls_session *session);

/*
 * Hand one direction of a finished handshake to the kernel. KSPLIT_NONE when the kernel has it
 * (what the track knows of it is wiped, except for what a later KeyUpdate needs), else why not
 * (FALLBACK class).
 */
enum ksplit_reason tls_session_to_kernel(struct tls_session *session, int fd,
					 enum ktls_direction direction,
					 const struct ktls_support *support);

/*
 * The socket's receive direction stays in user space: read ahead, to save system calls. Before the
 * handshake where that is known by then, after it otherwise - never while the kernel may still get
 * the keys.
 */
void tls_session_read_ahead(struct tls_session *session);

/* Free the SSL object without a word to the peer; what it negotiated can be resumed all the same.
 * The track stays (rekeying needs it). */
void tls_session_release(struct tls_session *session);

/* Free everything, wipe the secrets. Safe on a zeroed session. */
void tls_session_free(struct tls_session *session);

#endif
