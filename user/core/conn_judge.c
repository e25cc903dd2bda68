// SPDX-License-Identifier: GPL-2.0-or-later
/* What is wrong with the origin's certificate, and what comes of it. */
#include "core/conn.h"
#include "core/conn_sessions.h"
#include "core/log.h"
#include "core/origin_shown.h"
#include "core/server.h"
#include "core/upstream.h"
#include "pki/chain_time.h"
#include "pki/ocsp_staple.h"
#include "tls/origin_faults.h"

_Static_assert(STAT_FAULT_PIN - STAT_FAULT_UNTRUSTED == KSPLIT_ORIGIN_FAULT_INDEX_PIN &&
		       STAT_FAULT_WEAK_KEY - STAT_FAULT_UNTRUSTED ==
			       KSPLIT_ORIGIN_FAULT_INDEX_WEAK_KEY &&
		       KSPLIT_ORIGIN_FAULT_COUNT == KSPLIT_ORIGIN_FAULT_INDEX_PIN + 1,
	       "a counter for each fault, in their order");

/* Only an issuer that is trusted can revoke. */
static bool is_revoked(struct conn *conn, uint32_t faults)
{
	SSL *ssl = conn->side[SIDE_UPSTREAM].session.ssl;
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	const uint8_t *response;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &response);

	return len > 0 && sk_X509_num(chain) > 1 &&
	       !(faults & (ORIGIN_UNTRUSTED | ORIGIN_SELF_SIGNED)) &&
	       ocsp_staple_revokes(response, (size_t)len, sk_X509_value(chain, 0), chain,
				   &conn->revocation);
}

/* How the profile has it be judged. The client of a service cannot be shown what is wrong. */
static enum conn_verify verify_of(const struct conn *conn)
{
	const struct upstream_profile profile =
		upstream_profile_of(conn->generation->config, conn->profile);

	if (conn->self_test)
		return CONN_VERIFY_NONE;
	switch (profile.verify) {
	case VERIFY_OFF: return CONN_VERIFY_OFF;
	case VERIFY_REQUIRE: return CONN_VERIFY_REQUIRE;
	case VERIFY_MIMIC: break;
	}
	return conn->listener->incoming ? CONN_VERIFY_REQUIRE : CONN_VERIFY_MIMIC;
}

static void note(struct conn *conn, uint32_t faults)
{
	conn->info.origin_verify = verify_of(conn);
	conn->info.origin_rule = (uint16_t)conn->profile;
	conn->info.origin_faults = (uint16_t)faults;
	for (unsigned int i = 0; i < KSPLIT_ORIGIN_FAULT_COUNT; i++)
		if (faults & 1U << i)
			stats_add(&conn->worker->stats, STAT_FAULT_UNTRUSTED + i, 1);
}

static void tell(const struct conn *conn, const char *what)
{
	char faults[ORIGIN_FAULTS_PRINTED], address[64];

	log_info("connection %lu: %s: %s: the origin's certificate: %s; %s",
		 (unsigned long)conn->info.id, conn->info.sni,
		 conn_address_print(&conn->info.upstream, address, sizeof(address)),
		 origin_faults_print(conn->info.origin_faults, faults, sizeof(faults)), what);
}

/* A chain holds no longer than each of its certificates. */
static void narrow(struct conn *conn)
{
	SSL *ssl = conn->side[SIDE_UPSTREAM].session.ssl;
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *narrowed;

	narrowed =
		chain_time_narrow(conn->origin_cert, chain ? chain : SSL_get_peer_cert_chain(ssl));
	if (!narrowed)
		return;
	X509_free(conn->origin_cert);
	conn->origin_cert = narrowed;
}

bool conn_judge_origin(struct conn *conn)
{
	uint32_t faults = conn->side[SIDE_UPSTREAM].session.faults;

	if (is_revoked(conn, faults))
		faults |= ORIGIN_REVOKED;
	note(conn, faults);
	if (!faults)
		return true;
	conn_sessions_spoil(conn);
	if (conn->info.origin_verify != CONN_VERIFY_MIMIC) {
		tell(conn, "refused");
		conn_refuse(conn, KSPLIT_UPSTREAM_UNVERIFIED, origin_faults_alert(faults));
		return false;
	}
	tell(conn, "shown to the client");
	if (faults & ORIGIN_CHAIN_TIME)
		narrow(conn);
	return true;
}

void conn_judge_refused(struct conn *conn)
{
	note(conn, conn->side[SIDE_UPSTREAM].session.faults);
	tell(conn, "refused");
}

static bool is_valid_now(const X509 *cert)
{
	return !X509_cmp_timeframe(NULL, X509_get0_notBefore(cert), X509_get0_notAfter(cert));
}

void conn_judge_wish(const struct conn *conn, struct leaf_wish *wish,
		     uint8_t shown_fp[FINGERPRINT_LEN])
{
	const uint32_t faults = conn->info.origin_faults;

	if (conn->hello->status_request)
		wish->revocation = &conn->revocation;
	origin_shown(faults, conn->info.origin_verify,
		     faults & ORIGIN_WEAK_KEY &&
			     tls_context_can_serve(conn->generation->tls, conn->hello, TLS_KEY_RSA),
		     wish);
	if (!(faults & ORIGIN_CHAIN_TIME))
		return;
	if (fingerprint_of(wish->origin, shown_fp) || is_valid_now(wish->origin))
		wish->untrusted = true;
	else
		wish->origin_fp = shown_fp;
}

void conn_judge_forget(struct conn *conn)
{
	conn->info.origin_verify = CONN_VERIFY_NONE;
	conn->info.origin_rule = 0;
	conn->info.origin_faults = 0;
}
