/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_CONTROL_H
#define KSPLIT_EXPORT_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/otlp_stats.h"
#include "observe/aggregate.h"
#include "observe/capture_status.h"
#include "observe/conn_info.h"
#include "observe/observer.h"
#include "observe/reload_status.h"
#include "observe/stats.h"
#include "observe/tap_status.h"

/* Numbers that are not sums over workers. */
struct control_summary {
	const char *version;
	int pid;
	int64_t start_ms; /* wall clock */
	unsigned int workers;
	bool draining;
	uint64_t open_by_state[CONN_STATES];
	uint64_t open_passed;
	uint64_t max_connections;
	const char *relay, *ktls, *verify; /* as configured */
	struct {
		uint64_t hits, misses, forged, failed, waited, evicted, entries;
	} leaf_cache;
	struct {
		uint64_t entries, evicted;
	} session_cache; /* of origins */
	bool has_signer; /* false: no leaves are forged, so no process has a CA's key */
	struct {
		int pid; /* 0: it has gone */
		uint64_t issued, busy, refused, failed; /* what became of requests */
	} signer;
	/* Of incoming calls, since the configuration was read; 0: none. */
	size_t identities;
	uint64_t identity_reloads, identity_reloads_failed;
	/* kernel TLS as probed; the indexes of struct ktls_support: version, enum tls_aead */
	bool ktls_ulp, ktls_rekey;
	int ktls_ulp_errno;
	bool ktls_tx[2][4], ktls_rx[2][4];
	const char *openssl;  /* library version string */
	struct capture_status capture; /* by rules */
	struct capture_status hook;    /* by connect hook */
	size_t hook_wanted, hook_attached; /* cgroups and units: configured, and of these there */
	struct reload_status reload;
	const char *degraded; /* NULL, or one sentence: why the daemon is not whole */
};

/* One name that was passed through, or is to be, and why. */
struct control_pass {
	enum ksplit_reason reason; /* PASS class */
	int rule;		   /* index in section "pass"; -1: no rule's */
	char client[64];	   /* "192.0.2.1", of what was learned; "": any */
	char name[256];		   /* the SNI, else the origin's address and port; "" where count is 0 */
	uint64_t count;
	int64_t last_ms;    /* wall clock; 0: never */
	int64_t expires_ms; /* wall clock; 0: never */
};

struct control_rule {
	char *comment; /* owned; NULL: none */
	uint64_t count;
	int64_t last_ms; /* wall clock; 0: never */
};

/* Freed with control_passes_free. */
struct control_passes {
	struct control_pass *passes; /* owned; the last first */
	size_t passes_len;
	struct control_rule *rules; /* owned; all of section "pass" */
	size_t rules_len;
	uint64_t evicted; /* names that made room for others */
	uint32_t learned_pass_ms, learned_names; /* as configured */
};

/* A certificate that clients are shown, or the CA's. */
struct control_cert {
	const char *kind;  /* "ca", "identity" (of a service), "leaf" (forged); static */
	const char *state; /* "trusted", "untrusted", "revoked", "outside_ca"; static */
	char name[256];    /* a peer's bytes */
	size_t names;	   /* in subjectAltName */
	char key[32];
	int64_t from_ms, until_ms; /* validity; 0: cannot be read */
	uint8_t fingerprint[32];   /* SHA-256 of the DER */
};

/* Freed with control_certs_free. */
struct control_certs {
	struct control_cert *certs; /* owned */
	size_t len;
};

#define CONTROL_CERTS_MAX 10000 /* forged ones of one answer */

#define CONTROL_HOOK_COUNTS 16

/* Capture by connect hook; names live as long as the daemon. */
struct control_hook {
	bool on;
	char why[CAPTURE_WHY]; /* one sentence: nothing is steered; "": it is */
	size_t wanted, attached; /* cgroups and units: configured, and of these there */
	size_t counts_len;
	struct {
		const char *name;
		uint64_t value;
	} counts[CONTROL_HOOK_COUNTS];
};

/* What became of an upgrade. */
struct control_upgrade {
	bool done;
	int pid;       /* of the ksplitd that has taken over */
	char why[512]; /* one sentence: why it has not */
};

/* What the control socket asks of the daemon; filled by core. Called on the control thread only. */
struct control_source {
	void *ctx;
	/* The sum of all workers' counters. */
	void (*read_stats)(void *ctx, struct stats_sum *out);
	void (*read_summary)(void *ctx, struct control_summary *out);
	/*
	 * Snapshot of open connections: an array that the caller frees with free(3). 0, -ENOMEM,
	 * -ETIMEDOUT (a worker hangs).
	 */
	int (*read_connections)(void *ctx, struct conn_info **out, size_t *count);
	/*
	 * What was observed, and how; NULL: observation is off, and answers say so. 0 or -ENOMEM;
	 * freed with aggregate_snapshot_free.
	 */
	int (*read_aggregate)(void *ctx, struct aggregate_snapshot *out);
	void (*read_observer)(void *ctx, struct observer_status *out);
	/* What became of OTLP exports; false, or NULL: nothing is exported so. */
	bool (*read_otlp)(void *ctx, struct otlp_stats *out);
	/* What was passed through and why. 0 or -ENOMEM. */
	int (*read_passes)(void *ctx, struct control_passes *out);
	/* The certificates that clients are shown, CONTROL_CERTS_MAX forged ones at most. 0 or -ENOMEM. */
	int (*read_certs)(void *ctx, struct control_certs *out);
	/* Capture by connect hook; false, or NULL: not asked for. */
	bool (*read_hook)(void *ctx, struct control_hook *out);
	/*
	 * Switch capture on or off; `by` says who asks, and is copied. Waits a few seconds at most:
	 * what became of it is in read_summary. NULL: there is nothing to switch.
	 */
	void (*switch_capture)(void *ctx, bool on, const char *by);
	/*
	 * Have another ksplitd take over; waits for what becomes of it, a minute at most. `by` says
	 * who asks. NULL: nothing of the kind here.
	 */
	void (*upgrade)(void *ctx, const char *by, struct control_upgrade *out);
	/*
	 * Read the configuration again, and say what became of it; waits as long as that takes,
	 * half a minute at most. false: that was not enough, or the daemon ends. NULL: it cannot.
	 */
	bool (*reload)(void *ctx, const char *by, struct reload_status *out);
	/* What is written of keys and plaintext; NULL: nothing of the kind here. */
	void (*read_taps)(void *ctx, struct tap_status out[TAP_KINDS]);
	/*
	 * Switch one of them that is configured; `by` says who asks. 0, or -errno with one sentence
	 * in `error`.
	 */
	int (*switch_tap)(void *ctx, enum tap_kind kind, bool on, const char *by, char *error,
			  size_t error_len);
	/* Who is at the other end of the socket, for `by`; filled for each client. */
	char client[CAPTURE_BY];
};

void control_passes_free(struct control_passes *passes);
void control_certs_free(struct control_certs *certs);

struct control;

/*
 * Bind the socket (0660; a dead daemon's leftover is replaced; the folder is made, 0755, when only
 * its last part is missing) and start a thread that serves it (docs/control-protocol.md): at most 8
 * clients at once, further ones wait; 5 s for a request; an answer as long as its client takes some
 * of it every 5 s, 60 s at most.
 * `source` is copied, what it points to must live longer. Caller owns *out. 0 or -errno:
 * -EADDRINUSE (a live daemon answers there), -EEXIST (something else than a socket is there),
 * -ENAMETOOLONG ...
 */
int control_open(const char *path, const struct control_source *source, struct control **out);

/*
 * The same in the place of a live daemon, from which this one has taken over
 * (control_socket_take_over).
 */
int control_take_over(const char *path, const struct control_source *source, struct control **out);

/* End the thread, remove the socket (if it is still ours). NULL allowed. */
void control_close(struct control *control);

/*
 * Answer one request line (without its newline); the answer is one line without its newline; the
 * caller frees it with free(3). NULL only when out of memory.
 */
char *control_answer(const struct control_source *source, const char *line, size_t len);

#endif
