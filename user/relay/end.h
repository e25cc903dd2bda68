/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_RELAY_END_H
#define KSPLIT_RELAY_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/stats.h"
#include "relay/handshake_skim.h"
#include "tls/ktls.h"
#include "tls/out_buffer.h"
#include "tls/session.h"

/*
 * One socket of a relayed connection. Reading and writing are each done in one of three ways,
 * chosen per direction: raw bytes, plaintext with the kernel's TLS below, or plaintext with
 * OpenSSL's. The relays see the same calls and the same events for all of them.
 */
enum end_event {
	END_DATA,
	END_AGAIN,	  /* nothing to read now */
	END_CLOSE_NOTIFY,
	END_FIN,	  /* without a close_notify before it */
	END_ALERT,	  /* fatal */
	END_RESET,	  /* the connection is gone */
	END_BAD_RECORD,	  /* does not decrypt, or is no TLS record */
	END_UNEXPECTED,	  /* decrypts, but has no place here */
	END_KEY_UPDATE,	  /* peer replaced its keys and this kernel cannot follow */
	END_CERTIFICATE_ASKED, /* an origin's wish that only the client could grant */
	END_RECORD_LIMIT, /* our key is used up and this kernel cannot take another */
};

struct relay_end;

struct relay_rx_ops {
	/* See relay_end_read. */
	enum end_event (*read)(struct relay_end *end, void *buf, size_t size, size_t *len,
			       uint8_t alert[2]);
	/* Bytes that a wait for the socket would not tell of. */
	bool (*has_pending)(const struct relay_end *end);
};

struct relay_tx_ops {
	/* Take all of it: what the socket does not take now waits in end->out. */
	int (*write)(struct relay_end *end, const void *buf, size_t len);
	int (*send_alert)(struct relay_end *end, uint8_t level, uint8_t description);
	/*
	 * Is the key used up? Replaces it where possible: 0, -EAGAIN, -EKEYEXPIRED (not possible).
	 */
	int (*renew_key)(struct relay_end *end);
};

extern const struct relay_rx_ops relay_rx_raw, relay_rx_kernel, relay_rx_user;
extern const struct relay_tx_ops relay_tx_raw, relay_tx_kernel, relay_tx_user;

struct relay_end {
	const struct relay_rx_ops *rx;
	const struct relay_tx_ops *tx;
	int fd;			      /* not owned */
	struct tls_session *session;  /* not owned; NULL: raw */
	struct out_buffer *out;	      /* not owned; unsent: wire bytes (user) or plaintext */
	const struct ktls_support *support; /* not owned */
	struct stats *stats;	      /* not owned */
	uint16_t version;	      /* 0x0303, 0x0304; 0: raw */
	enum tls_aead aead;
	bool is_client_side;	      /* we are the server on this socket */
	struct handshake_skim skim;
	uint64_t tx_records;	      /* kernel: sealed with the present key, at least */
	uint16_t record_bytes;	      /* of plaintext, in the largest record of ours */
	uint64_t record_limit;	      /* ... until it is replaced; 0: none (RFC 8446 5.5) */
	bool key_update_due;	      /* kernel: a KeyUpdate of ours waits for room in the socket */
	bool tx_over;		      /* close_notify or FIN sent: nothing may follow */
	bool rx_over;		      /* what still comes cannot be decrypted any more */
	bool backed_up;		      /* was full: bytes may wait where we cannot see them */
	uint32_t swallowed;	      /* records consumed but not forwarded: progress, too */
	int write_errno;	      /* of the last write that failed, positive */
	bool mid_message;	      /* user: see relay_end_mid_message */
	enum end_event stashed;	      /* user: event behind data just read; END_DATA: none */
	uint8_t stashed_alert[2];
};

/*
 * Describe a socket that is to be relayed. Raw when `session` is NULL; otherwise each direction is
 * the kernel's or OpenSSL's as told. Everything pointed to stays the caller's and must outlive the
 * end.
 */
struct relay_end_options {
	int fd;
	struct tls_session *session;
	struct out_buffer *out;
	const struct ktls_support *support;
	struct stats *stats;
	uint16_t version;
	uint16_t suite;
	bool is_client_side;
	bool rx_kernel, tx_kernel;
	uint16_t record_bytes; /* tls_session_record_bytes; 0: 16384 */
	uint64_t record_limit; /* AES-GCM records a key, 0: RFC 8446's own bound */
};
void relay_end_init(struct relay_end *end, const struct relay_end_options *options);

/*
 * Read what is there: END_DATA and *len plaintext bytes (as many as are ready without waiting, up
 * to `size`, which must be at least 16 KiB), or another event. For END_ALERT alert[] is level and
 * description. Session tickets and warnings are consumed, key updates are followed where that is
 * possible.
 */
enum end_event relay_end_read(struct relay_end *end, void *buf, size_t size, size_t *len,
			      uint8_t alert[2]);

/*
 * After a close_notify: discard until the FIN. END_AGAIN (there is no more at present), END_DATA
 * (there may be), END_FIN or END_RESET.
 */
enum end_event relay_end_drain(struct relay_end *end, void *buf, size_t size);

/*
 * The same where nothing can be read any more (rx_over): the bytes stay, only the peer's FIN or
 * reset is looked for. END_AGAIN or END_FIN.
 */
enum end_event relay_end_await_fin(struct relay_end *end);

/*
 * Is OpenSSL in the middle of a handshake message that comes in several records (a session ticket of
 * up to 64 KiB, RFC 8446 4.6.1)? It writes nothing until the rest is read: such an end is not
 * waited for as a sink, but read.
 */
bool relay_end_mid_message(const struct relay_end *end);

/* Bytes inside OpenSSL that epoll cannot tell of? */
bool relay_end_has_pending(const struct relay_end *end);

/*
 * Write all of it; what does not fit into the socket waits in the out buffer. 0 or -errno: the
 * socket is gone.
 */
int relay_end_write(struct relay_end *end, const void *buf, size_t len);

/*
 * For ends above plain sockets and kernel TLS: send(2), and keep what does not fit. As
 * relay_end_write.
 */
int relay_end_send(struct relay_end *end, const void *buf, size_t len);

/*
 * Send what waits. 0, -EAGAIN (wait until writable), -EKEYEXPIRED (the key is used up) or another
 * -errno: gone.
 */
int relay_end_flush(struct relay_end *end);

/* Count records that a splice has sent past us. */
void relay_end_count_spliced(struct relay_end *end, size_t len);

/*
 * Send an alert; all data must have been flushed. 0, -EAGAIN, -ENOTSUP (cipher suite that we cannot
 * seal by hand), -errno.
 */
int relay_end_send_alert(struct relay_end *end, uint8_t level, uint8_t description);

/*
 * May the socket be shut down or closed without losing bytes? Kernel TLS accepts bytes that TCP has
 * no room for and would drop them. Always true where the socket was never full; else call again
 * after a while.
 */
bool relay_end_settled(struct relay_end *end);

#endif
