/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONN_H
#define KSPLIT_CORE_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/config.h"
#include "core/deadline.h"
#include "core/generation.h"
#include "core/own_sockets.h"
#include "core/resolver.h"
#include "core/worker.h"
#include "observe/aggregate.h"
#include "observe/conn_info.h"
#include "pki/leaf_cache.h"
#include "relay/end.h"
#include "relay/relay.h"
#include "tls/client_hello.h"
#include "tls/out_buffer.h"
#include "tls/session.h"

#define CONN_MAX_ADDRESSES 4

struct conn;
struct conn_identity;
struct conn_parallel;
struct conn_resumption;
struct conn_starttls;

/* How a side is left when the connection ends. */
enum conn_goodbye {
	GOODBYE_CLOSE,	/* nothing is owed: FIN */
	GOODBYE_NOTIFY, /* close_notify, then FIN */
	GOODBYE_ALERT,	/* a fatal alert, then FIN */
	GOODBYE_RESET,	/* RST, as the other side was */
};

/* One of the two sockets. */
struct conn_socket {
	struct watch watch; /* first: epoll leads here */
	struct conn *conn;
	int fd; /* owned; -1: none */
	bool is_client;
	bool registered;
	uint32_t armed; /* events in the epoll set */
	bool edge;	/* relaying: wait for what comes, not for what is there */
	struct out_buffer out;
	struct tls_session session;
	struct relay_end end;
	bool has_end; /* `end` is set up */
	/* while closing */
	enum conn_goodbye goodbye;
	uint8_t alert;
	bool goodbye_said, fin_sent, gone;
};

/* One client connection and all that belongs to it; lives on one worker's thread. */
struct conn {
	LIST_ENTRY(conn) link;
	STAILQ_ENTRY(conn) again_link;
	bool in_again;
	bool dead;
	bool counted_passed; /* in worker->open_passed */
	bool counted_intercepted; /* in worker->open_intercepted */
	bool leaf_shown; /* the client was there when the leaf was sent */
	bool wish_judged; /* the origin wanted what we cannot give */
	bool end_judged; /* how the client ended was looked at */
	uint32_t pass_rule; /* where pass_reason says so: which */
	struct worker *worker;		     /* not owned */
	struct generation *generation;	     /* a reference: what it was accepted under */
	const struct config_listener *listener; /* the generation's */
	struct conn_socket side[SIDES];
	struct conn_info info;
	uint64_t phase_start_us;
	struct deadline deadline; /* of the phase */
	struct deadline settle;
	struct deadline tickets;            /* set: they are awaited */
	struct conn_resumption *resumption; /* owned; NULL: nothing is resumed or kept */
	struct client_hello *hello; /* owned; until the client's handshake begins */
	union conn_address *addresses; /* owned; of the origin, while connecting */
	size_t addresses_len, addresses_next;
	struct resolver_request *resolving; /* answer under way; NULL: none */
	struct conn_leaf_wait *leaf_waiting; /* it is being signed; NULL: none */
	size_t profile; /* of the origin (core/upstream.h); known once connected to it */
	enum leaf_key_kind leaf_key; /* that the client can do with */
	X509 *origin_cert;	/* owned; until the leaf is there */
	struct revocation revocation; /* of that, where origin_faults says so */
	struct leaf *leaf;	/* a reference; until the client's handshake is done */
	struct conn_parallel *parallel; /* owned; NULL: the client's handshake follows the origin's */
	struct conn_starttls *starttls; /* owned; while the dialogue in plain is watched */
	struct conn_identity *identity; /* incoming: what the client is shown, until then */
	bool sessions_blamed; /* a handshake failed with a session offered: the next has none */
	bool source_refused; /* incoming: the client's address could not be taken as source */
	uint8_t alpn[256];	/* what the origin chose, as bytes */
	uint8_t alpn_len;
	struct own_socket own; /* the upstream socket, where rules could bring it back to us */
	struct relay_flow flow[FLOWS];
	struct stream_tap tap; /* who sees the plaintext */
	struct tap_conn *content; /* who writes it to files; NULL: nobody */
	bool self_test;	       /* both ends are ksplitd's own (capture/self_test.h) */
	bool observed;	       /* the observer knows of it */
	struct aggregate_tcp tcp; /* of the origin's socket, at its end */
	enum relay_result flow_result[FLOWS];
	enum ksplit_reason first_end; /* how the first flow ended */
};

/* --- conn.c: life, phases, events --- */

/*
 * A client was accepted under this generation, by this listener of its: takes over `fd`, and a
 * reference.
 */
void conn_accept(struct worker *worker, struct generation *generation,
		 const struct config_listener *listener, int fd, const union conn_address *peer);

/* Leave one phase and enter another: times, state, and its deadline. */
void conn_enter(struct conn *conn, enum conn_state state);

/* Ask epoll for these events (0: none) on a side. */
void conn_side_watch(struct conn_socket *side, uint32_t events);

/* Close a side's socket and forget what waits for it. Safe when it is closed already. */
void conn_side_close(struct conn_socket *side);

/* More work without waiting (see worker_run_again). */
void conn_run_again(struct conn *conn);

/* A snapshot for status: the current phase counted up to now. */
void conn_snapshot(const struct conn *conn, struct conn_info *out);

/* Free what a dead connection still holds. */
void conn_free(struct conn *conn);

/* --- conn_peek.c: what does the client want? --- */

/* Accepted: wait for the client's first bytes. */
void conn_peek_begin(struct conn *conn);

/*
 * A complete ClientHello, still unread: ours to answer? KSPLIT_NONE: it is kept, and the client's
 * socket is made ready; KSPLIT_NO_MEMORY; KSPLIT_VERSION_REFUSED; else why it is
 * passed.
 */
enum ksplit_reason conn_peek_take(struct conn *conn, const struct client_hello *hello);
void conn_peek_ready(struct conn *conn, uint32_t events);
void conn_peek_expired(struct conn *conn);

/* --- conn_starttls.c, conn_starttls_end.c: dialogues in plain that may turn to TLS --- */

/* Is this connection's dialogue watched, if it begins in plain? */
bool conn_starttls_wanted(const struct conn *conn);

/*
 * The client's first bytes are not TLS, or it says nothing: call the origin, then watch. `reason`:
 * why it is passed if nothing comes of it. False: not wanted, or no memory; pass it now.
 */
bool conn_starttls_begin(struct conn *conn, enum ksplit_reason reason);

/* Connected to the origin. */
void conn_starttls_start(struct conn *conn);
void conn_starttls_ready(struct conn_socket *side, uint32_t events);
void conn_starttls_expired(struct conn *conn);

/* The connection ends: was it being watched, then it counts as passed. */
void conn_starttls_forget(struct conn *conn);

/*
 * The origin's TLS cannot be opened, and what was said in plain cannot be said again: end, and have
 * the next one of its kind passed. False: no such connection.
 */
bool conn_starttls_cut(struct conn *conn, enum ksplit_reason reason);

/* The same for one that is about to be refused. */
void conn_starttls_refused(struct conn *conn, enum ksplit_reason reason);

/* --- conn_destination.c: where does it want to go? --- */

/* A client that was just accepted: is it ksplitd's own self-test? */
void conn_destination_look_for_self(struct conn *conn);

/* Find the origin's addresses, then connect. Raw or not is decided already. */
void conn_destination_find(struct conn *conn);

/* --- conn_upstream.c: the origin's side --- */
void conn_upstream_connect(struct conn *conn);

/* Connected, and the client's hello is known: shake hands with the origin. */
void conn_upstream_shake(struct conn *conn);

/* There was no descriptor for it before. */
void conn_upstream_connect_again(struct conn *conn);
void conn_upstream_ready(struct conn *conn, uint32_t events);

/* The address that is being tried is silent: is there another, and is it being tried now? */
bool conn_upstream_try_next(struct conn *conn);

/* The origin will not talk to us as it would to the client: start over, raw. */
void conn_upstream_pass(struct conn *conn, enum ksplit_reason reason);

/* What the client is to be told of the application protocol (1 to 255 bytes). */
void conn_alpn_keep(struct conn *conn, const uint8_t *alpn, size_t len);

/* --- conn_judge.c: the origin's certificate --- */

/*
 * The handshake with the origin is done: what is wrong with its certificate is noted, counted and
 * logged. False: the connection was refused.
 */
bool conn_judge_origin(struct conn *conn);

/* The handshake has failed because of it. */
void conn_judge_refused(struct conn *conn);

/*
 * How the leaf shows what was found. `shown_fp` is room for the wish's own fingerprint, where what
 * it is made of is not the origin's certificate as it came.
 */
void conn_judge_wish(const struct conn *conn, struct leaf_wish *wish,
		     uint8_t shown_fp[FINGERPRINT_LEN]);

/* The client will see for itself. */
void conn_judge_forget(struct conn *conn);

/* --- conn_client.c: the leaf and the client's side --- */
void conn_leaf_find(struct conn *conn);
void conn_client_ready(struct conn *conn, uint32_t events);

/* Forget about a leaf that is being signed. */
void conn_leaf_cancel(struct conn *conn);

/* The signing process has not answered in time. */
void conn_leaf_expired(struct conn *conn);

/* The client's session is made: shake hands with it. */
void conn_client_shake(struct conn *conn);

/*
 * Show the client the leaf and this protocol (outlives the handshake), and take the first step. The
 * handshake with the origin may still need what it began with.
 */
void conn_client_show(struct conn *conn, const uint8_t *alpn, size_t alpn_len);

/* That one is done: so let go of it. */
void conn_client_let_go(struct conn *conn);

/* Both are done. */
void conn_client_shaken(struct conn *conn);

/* --- conn_service.c: incoming calls --- */

/* Is the service spoken to in plain TCP? */
static inline bool conn_service_is_plain(const struct conn *conn)
{
	return conn->listener->plain_upstream;
}

/* What to show this client: KSPLIT_NONE, KSPLIT_NO_MEMORY, or why it is passed (PASS class). */
enum ksplit_reason conn_service_identify(struct conn *conn, const struct client_hello *hello);

/* Shake hands with the client, as the service. */
void conn_service_shake(struct conn *conn);

/* That is done: note which identity it was shown. Then it needs none any more. */
void conn_service_shaken(struct conn *conn);
void conn_service_forget(struct conn *conn);

/* Connected to a service in plain TCP: the client's handshake is next. */
void conn_service_connected(struct conn *conn);

/* Queue the header that tells the service of its client, where it is asked for. 0 or -errno. */
int conn_service_announce(struct conn *conn);

/* Take the client's address as the source of a socket, where that is asked for. 0 or -errno. */
int conn_service_take_source(const struct conn *conn, int fd, int family);

/* What would be passed raw cannot be: the service would not understand it. */
void conn_service_refuse(struct conn *conn, enum ksplit_reason reason);

/* --- conn_policy.c: to be intercepted or passed, and what refusals teach --- */

/*
 * The origin's addresses are known: a rule, what was learned, or overload may pass the connection
 * (conn->info.passed). Asked once.
 */
void conn_policy_decide(struct conn *conn);

/* Connected, the handshake with the origin would begin. True: there are too many; now passed. */
bool conn_policy_overloaded(struct conn *conn);

/* Connected: choose the profile of the origin. */
void conn_policy_choose_profile(struct conn *conn);

/* An upgrade failed: a retry is passed. False: nothing is learned (limits.learned_pass). */
bool conn_policy_learn_upgrade(struct conn *conn);

/* Mark it as passed; counts and logs. `detail` may be "". */
void conn_policy_pass(struct conn *conn, enum ksplit_reason reason, const char *detail);

/* Its raw bytes begin to flow: into the list of `ksplit-status passes`. */
void conn_policy_passed(struct conn *conn);

/* It is not intercepted any more: passed, or over. */
void conn_policy_forget(struct conn *conn);

/* Does the origin want what only the client itself could give it? */
void conn_policy_origin_wishes(struct conn *conn);

/* May the origin be asked to ask for a certificate whenever it likes, since the client may? */
bool conn_policy_may_be_asked(const struct conn *conn);

/* It did, after the handshake: the client's next call is its own. */
void conn_policy_certificate_asked(struct conn *conn);

/* How the client's handshake failed, or the client's flow ended: was that because of the leaf? */
void conn_policy_client_failed(struct conn *conn, const struct tls_failure *failure);
void conn_policy_client_ended(struct conn *conn);

/* --- conn_relay_start.c: keys into the kernel --- */
void conn_relay_start(struct conn *conn);
void conn_relay_start_raw(struct conn *conn);

/* --- conn_relay.c: bytes --- */
void conn_relay_ready(struct conn_socket *side, uint32_t events);
void conn_relay_run(struct conn *conn);
void conn_relay_settle(struct conn *conn);

/* --- conn_observe.c: what the observer is told --- */

/* A socket that is about to get its TLS ULP: some samplers have to know it before. */
void conn_observe_enlist(struct conn *conn, const struct conn_socket *side);

/* The upstream socket is about to connect. */
void conn_observe_connect(struct conn *conn);

/* Both flows are set up; nothing has been moved yet. */
void conn_observe_begin(struct conn *conn);

/* A side's socket is about to be closed; the connection is over (`info`: its last snapshot). */
void conn_observe_side_close(struct conn *conn, const struct conn_socket *side);
void conn_observe_end(struct conn *conn, const struct conn_info *info);

/* --- conn_taps.c: keys and content in files --- */

/* A handshake is about to begin on this side: who is given its keys? */
void conn_taps_keys(struct conn *conn, struct conn_socket *side);

/* Both flows are set up; and the connection is over. */
void conn_taps_begin(struct conn *conn);
void conn_taps_end(struct conn *conn);

/* --- conn_close.c: the end --- */

/* What each side is told. */
struct conn_farewell {
	enum conn_goodbye client, upstream;
	uint8_t client_alert, upstream_alert; /* for GOODBYE_ALERT */
};

/* End in order: say goodbye on both sides, then close; the reason is the first that was given. */
void conn_end(struct conn *conn, enum ksplit_reason reason, struct conn_farewell farewell);

/*
 * End before anything was agreed on with the client: alert `description` for a TLS client, the
 * origin is just left.
 */
void conn_refuse(struct conn *conn, enum ksplit_reason reason, uint8_t description);

/* End at once. */
void conn_abort(struct conn *conn, enum ksplit_reason reason);

void conn_close_ready(struct conn *conn);
void conn_close_expired(struct conn *conn);

#endif
