// SPDX-License-Identifier: GPL-2.0-or-later
/* Passed through or intercepted? And what is learned from clients that will not have us. */
#include <openssl/ssl.h>
#include <stdio.h>

#include "core/conn.h"
#include "core/learned_pass.h"
#include "core/log.h"
#include "core/overload.h"
#include "core/pass_list.h"
#include "core/policy_caller.h"
#include "core/server.h"
#include "tls/protocol.h"

/*
 * A client that checks the certificate only after the handshake (a pinned key) ends what it never
 * used; one that just keeps a connection ready does so later than this.
 */
#define QUIET_END_US 3000000

static uint64_t now_ms(const struct conn *conn)
{
	return conn->worker->now_us / 1000;
}

/* Where it goes; NULL: not known. */
static const union conn_address *origin_of(const struct conn *conn)
{
	if (conn->info.upstream.sa.sa_family)
		return &conn->info.upstream;
	return conn->addresses_len ? &conn->addresses[0] : NULL;
}

void conn_policy_pass(struct conn *conn, enum ksplit_reason reason, const char *detail)
{
	conn->info.passed = true;
	conn->info.pass_reason = reason;
	conn_policy_forget(conn);
	stats_count_reason(&conn->worker->stats, reason);
	log_info("connection %lu: %s: passed through: %s%s%s", (unsigned long)conn->info.id,
		 conn->info.sni, ksplit_reason_text(reason), *detail ? ": " : "", detail);
}

void conn_policy_forget(struct conn *conn)
{
	conn->worker->open_intercepted -= conn->counted_intercepted;
	conn->counted_intercepted = false;
}

void conn_policy_passed(struct conn *conn)
{
	const struct server *server = conn->worker->server;
	const bool by_rule = conn->info.pass_reason == KSPLIT_PASS_RULE;
	struct pass_key key;

	/* What was learned is counted where it is kept. */
	if (conn->info.pass_reason == KSPLIT_PASS_LEARNED ||
	    conn->info.pass_reason == KSPLIT_PASS_UPGRADE ||
	    conn->info.pass_reason == KSPLIT_PASS_ECH ||
	    conn->info.pass_reason == KSPLIT_PASS_RENEGOTIATION ||
	    conn->info.pass_reason == KSPLIT_PASS_LATE_CERT)
		return;
	pass_key_set(&key, conn->info.pass_reason, by_rule ? conn->pass_rule : PASS_NO_RULE, NULL,
		     conn->info.sni, origin_of(conn));
	pass_list_count(server->passes, &key, now_ms(conn));
	if (!by_rule)
		return;
	pass_key_set(&key, KSPLIT_PASS_RULE, conn->pass_rule, NULL, "", NULL);
	pass_list_count(server->rule_counts, &key, now_ms(conn));
}

/*
 * Who calls? It sees itself connected to us - or, where a redirect rule led it here, to the origin.
 */
static bool find_caller(void *ctx, struct policy_caller *out)
{
	const struct conn *conn = ctx;
	struct policy_callers *callers = conn->worker->callers;
	const struct policy *policy = &conn->generation->config->policy;
	const union conn_address *client = &conn->info.client;

	if (!callers)
		return false;
	return policy_callers_find(callers, policy, client, &conn->info.local, out) ||
	       (conn->addresses_len &&
		policy_callers_find(callers, policy, client, &conn->addresses[0], out));
}

static bool passed_by_rule(struct conn *conn)
{
	const struct policy *policy = &conn->generation->config->policy;
	const struct policy_call call = {
		.sni = conn->info.sni,
		.addresses = conn->addresses,
		.addresses_len = conn->addresses_len,
		.alpn = conn->hello->alpn,
		.alpn_len = conn->hello->alpn_len,
		.find_caller = find_caller,
		.ctx = conn,
	};
	char detail[160];
	int rule;

	if (!policy->len)
		return false;
	rule = policy_match(policy, &call);
	if (rule < 0)
		return false;
	conn->pass_rule = (uint32_t)rule;
	snprintf(detail, sizeof(detail), "pass[%d]%s%.100s", rule,
		 policy->rules[rule].comment ? ", " : "",
		 policy->rules[rule].comment ? policy->rules[rule].comment : "");
	conn_policy_pass(conn, KSPLIT_PASS_RULE, detail);
	return true;
}

/* Of several addresses that one counts which is spoken to: another's rule is not for it. */
void conn_policy_choose_profile(struct conn *conn)
{
	const struct policy_call call = {
		.sni = conn->info.sni,
		.addresses = &conn->info.upstream,
		.addresses_len = 1,
	};

	conn->profile = upstream_choose(&conn->generation->config->upstream, &call);
}

static bool passed_as_learned(struct conn *conn)
{
	struct learned_pass *learned = conn->worker->server->learned;
	const struct learned_offer offer = {
		.ech = conn->hello->ech,
		.post_handshake_auth = conn->hello->post_handshake_auth,
	};
	enum ksplit_reason reason =
		learned_pass_find(learned, &conn->info.client, conn->info.sni, origin_of(conn),
				  &offer, now_ms(conn));

	if (reason == KSPLIT_NONE && conn->info.upgrade != CONN_UPGRADE_NONE)
		reason = learned_pass_find_upgrade(learned, &conn->info.client, conn->info.sni,
						   origin_of(conn), now_ms(conn));
	if (reason == KSPLIT_NONE)
		return false;
	conn_policy_pass(conn, reason, "");
	return true;
}

static size_t handshakes(const struct worker *worker)
{
	return worker->open_by_state[CONN_UPSTREAM_HANDSHAKE] + worker->open_by_state[CONN_LEAF] +
	       worker->open_by_state[CONN_CLIENT_HANDSHAKE];
}

bool conn_policy_overloaded(struct conn *conn)
{
	struct worker *worker = conn->worker;
	const struct overload_load load = {
		.intercepted = worker->open_intercepted - conn->counted_intercepted,
		.handshakes = handshakes(worker),
	};
	enum overload_cause cause = OVERLOAD_NONE;

	/* Raw TLS is nothing to a service that speaks plain TCP. */
	if (!conn_service_is_plain(conn))
		cause = overload_judge(worker->server->overload, &load, worker->now_us);
	if (cause == OVERLOAD_NONE)
		return false;
	conn_policy_pass(conn, KSPLIT_PASS_OVERLOAD, overload_text(cause));
	return true;
}

void conn_policy_decide(struct conn *conn)
{
	if (conn->info.passed || !conn->hello || conn->counted_intercepted)
		return;
	if (!conn_service_is_plain(conn) &&
	    (passed_by_rule(conn) || passed_as_learned(conn) || conn_policy_overloaded(conn)))
		return;
	conn->counted_intercepted = true;
	conn->worker->open_intercepted++;
}

static void learn(struct conn *conn, enum ksplit_reason reason, const char *what)
{
	const struct server *server = conn->worker->server;

	/* A service's own certificate is no forged one: passed, the client would see the same. */
	if (conn->listener->incoming)
		return;
	/* Nor would it like the origin's own better, if that is what it refused. */
	if (conn->info.origin_faults &&
	    (reason == KSPLIT_PASS_LEARNED || reason == KSPLIT_PASS_ECH))
		return;
	if (!learned_pass_add(server->learned, reason, &conn->info.client, conn->info.sni,
			      origin_of(conn), now_ms(conn)))
		return;
	log_info("connection %lu: %s: the %s: the client's calls of that name are passed through "
		 "for %u s",
		 (unsigned long)conn->info.id, conn->info.sni, what,
		 conn->generation->config->learned_pass / 1000);
}

bool conn_policy_learn_upgrade(struct conn *conn)
{
	return learned_pass_add(conn->worker->server->learned, KSPLIT_PASS_UPGRADE,
				&conn->info.client, conn->info.sni, origin_of(conn), now_ms(conn));
}

void conn_policy_client_failed(struct conn *conn, const struct tls_failure *failure)
{
	const SSL *ssl = conn->side[SIDE_CLIENT].session.ssl;
	enum ksplit_reason reason = KSPLIT_NONE;

	if (failure->kind == TLS_FAILURE_ALERT)
		reason = learned_pass_of_alert(failure->alert);
	if (reason != KSPLIT_NONE)
		learn(conn, reason, "client refused the forged leaf");
	else if ((failure->kind == TLS_FAILURE_CLOSED || failure->kind == TLS_FAILURE_RESET) &&
		 conn->leaf_shown && !SSL_session_reused(ssl))
		learn(conn, KSPLIT_PASS_LEARNED, "client left when it saw the forged leaf");
}

void conn_policy_client_ended(struct conn *conn)
{
	const struct relay_flow *flow = &conn->flow[FLOW_TO_ORIGIN];
	enum ksplit_reason reason = KSPLIT_PASS_LEARNED;
	bool failed = conn->flow_result[FLOW_TO_ORIGIN] == RELAY_FAILED;

	if (conn->end_judged || (flow->phase == RELAY_OPEN && !failed))
		return;
	conn->end_judged = true;
	if (conn->info.passed || conn->info.flow[FLOW_TO_ORIGIN].bytes ||
	    conn->info.side[SIDE_CLIENT].resumed ||
	    conn->flow[FLOW_TO_CLIENT].phase != RELAY_OPEN ||
	    conn->flow_result[FLOW_TO_CLIENT] == RELAY_FAILED)
		return;
	if (failed && flow->closing == END_ALERT)
		reason = learned_pass_of_alert(flow->alert[1]);
	else if (failed && flow->closing != END_RESET)
		return;
	if (reason == KSPLIT_NONE || (flow->closing != END_ALERT &&
				      conn->worker->now_us > conn->phase_start_us + QUIET_END_US))
		return;
	learn(conn, reason, "client ended its connection unused, as one does that refuses the leaf");
}

void conn_policy_origin_wishes(struct conn *conn)
{
	if (conn->wish_judged || conn->info.passed ||
	    !conn->side[SIDE_UPSTREAM].session.track.renegotiation_wanted)
		return;
	conn->wish_judged = true;
	learn(conn, KSPLIT_PASS_RENEGOTIATION, "origin wants to renegotiate, and was told no");
}

/*
 * What the client could not be asked again would fail with every call of its, instead of being
 * answered by the origin without a certificate.
 */
bool conn_policy_may_be_asked(const struct conn *conn)
{
	return conn->hello->post_handshake_auth && !conn->listener->incoming &&
	       conn->generation->config->learned_pass;
}

void conn_policy_certificate_asked(struct conn *conn)
{
	learn(conn, KSPLIT_PASS_LATE_CERT,
	      "origin asked for a client certificate after the handshake");
}
