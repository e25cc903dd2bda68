/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LEARNED_PASS_H
#define KSPLIT_CORE_LEARNED_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pass_list.h"

/*
 * Clients that refused a forged leaf, or whose origin wanted what only they can give, and for
 * which name: their next call to it is passed through for a time, so that a retry works. Kept for
 * each client address: one client that trusts nobody (or means harm) must not switch observation
 * off for the others. Any thread.
 */
struct learned_pass;

/*
 * `lifetime_ms` of what is learned, 0: nothing is learned. `names` are kept at most, 1 at least.
 * Caller owns *out. 0 or -ENOMEM.
 */
int learned_pass_new(uint32_t lifetime_ms, size_t names, struct learned_pass **out);
void learned_pass_free(struct learned_pass *learned);

/*
 * How a client ended its handshake, or the connection before it had sent anything: is that a
 * refusal of the leaf? KSPLIT_PASS_LEARNED for the alerts unknown_ca, bad_certificate and
 * certificate_unknown (RFC 8446 6.2), KSPLIT_PASS_ECH for ech_required (RFC 9849 6.1.6: the client
 * offered ECH, and was answered by somebody without its key), else KSPLIT_NONE. -1: no alert.
 */
enum ksplit_reason learned_pass_of_alert(int alert);

/*
 * Learn it. `reason`: one of the two; KSPLIT_PASS_UPGRADE; or, where servers ask for a client
 * certificate once they know what is requested, KSPLIT_PASS_RENEGOTIATION (TLS 1.2) or
 * KSPLIT_PASS_LATE_CERT (TLS 1.3, RFC 8446 4.6.2). Whether it will be passed: false where nothing
 * is learned.
 */
bool learned_pass_add(struct learned_pass *learned, enum ksplit_reason reason,
		      const union conn_address *client, const char *name,
		      const union conn_address *origin, uint64_t now_ms);

/* Of the call's ClientHello: extensions without which it cannot end as an earlier one did. */
struct learned_offer {
	bool ech;
	bool post_handshake_auth;
};

/*
 * Is this call to be passed? Counts it. The reason, or KSPLIT_NONE. What was learned from
 * ech_required concerns only calls with an ECH extension, a late request for a certificate those
 * whose origin may ask.
 */
enum ksplit_reason learned_pass_find(struct learned_pass *learned, const union conn_address *client,
				     const char *name, const union conn_address *origin,
				     const struct learned_offer *offer, uint64_t now_ms);

/* The same, of a connection that turns from plain to TLS: KSPLIT_PASS_UPGRADE or KSPLIT_NONE. */
enum ksplit_reason learned_pass_find_upgrade(struct learned_pass *learned,
					     const union conn_address *client, const char *name,
					     const union conn_address *origin, uint64_t now_ms);

/* What is known, see pass_list_read. */
int learned_pass_read(struct learned_pass *learned, uint64_t now_ms, struct pass_entry **out,
		      size_t *len);

#endif
