// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/conn_json.h"

#include <stdio.h>

#include <ksplit/origin_fault.h>

#include "export/json_add.h"

#define ADDRESS_LEN 80 /* "[IPv6%zone]:port" */

bool conn_json_add_address(cJSON *to, const char *name, const union conn_address *address)
{
	char text[ADDRESS_LEN];

	conn_address_print(address, text, sizeof(text));
	return json_add_text(to, name, text[0] ? text : NULL);
}

/* TLS alert descriptions (IANA TLS Alerts registry; RFC 8446 6, RFC 5246 7.2). NULL: not assigned.
 */
static const char *alert_name(int alert)
{
	switch (alert) {
	case 0: return "close_notify";
	case 10: return "unexpected_message";
	case 20: return "bad_record_mac";
	case 21: return "decryption_failed";
	case 22: return "record_overflow";
	case 30: return "decompression_failure";
	case 40: return "handshake_failure";
	case 41: return "no_certificate";
	case 42: return "bad_certificate";
	case 43: return "unsupported_certificate";
	case 44: return "certificate_revoked";
	case 45: return "certificate_expired";
	case 46: return "certificate_unknown";
	case 47: return "illegal_parameter";
	case 48: return "unknown_ca";
	case 49: return "access_denied";
	case 50: return "decode_error";
	case 51: return "decrypt_error";
	case 60: return "export_restriction";
	case 70: return "protocol_version";
	case 71: return "insufficient_security";
	case 80: return "internal_error";
	case 86: return "inappropriate_fallback";
	case 90: return "user_canceled";
	case 100: return "no_renegotiation";
	case 109: return "missing_extension";
	case 110: return "unsupported_extension";
	case 111: return "certificate_unobtainable";
	case 112: return "unrecognized_name";
	case 113: return "bad_certificate_status_response";
	case 114: return "bad_certificate_hash_value";
	case 115: return "unknown_psk_identity";
	case 116: return "certificate_required";
	case 120: return "no_application_protocol";
	case 121: return "ech_required";
	default: return NULL;
	}
}

static bool add_alert(cJSON *to, const char *name, int alert)
{
	char number[24];

	if (alert < 0 || alert_name(alert))
		return json_add_text(to, name, alert < 0 ? NULL : alert_name(alert));
	snprintf(number, sizeof(number), "alert_%d", alert);
	return json_add_text(to, name, number);
}

bool conn_json_add_suite(cJSON *to, const char *name, uint16_t suite)
{
	char number[8];

	if (suite == 0 || conn_suite_name(suite))
		return json_add_text(to, name, suite ? conn_suite_name(suite) : NULL);
	snprintf(number, sizeof(number), "0x%04x", suite);
	return json_add_text(to, name, number);
}

/* One direction's record layer: true (in the kernel), the reason why not, or false (not decided
 * yet). */
static bool add_ktls(cJSON *to, const char *name, bool kernel, enum ksplit_reason reason)
{
	if (kernel || reason == KSPLIT_NONE)
		return json_add_bool(to, name, kernel);
	return json_add_text(to, name, ksplit_reason_name(reason));
}

/* null for a side that never got as far as a handshake's end or an alert. */
static bool add_side(cJSON *to, const char *name, const struct conn_side_info *side)
{
	cJSON *tls, *ktls;

	if (!side->version && side->alert_received < 0 && side->alert_sent < 0)
		return json_add_text(to, name, NULL);
	tls = cJSON_AddObjectToObject(to, name);
	if (!tls ||
	    !json_add_text(tls, "version",
			   side->version ? conn_version_name(side->version) : NULL) ||
	    !conn_json_add_suite(tls, "cipher", side->suite) ||
	    !json_add_bool(tls, "resumed", side->resumed))
		return false;
	ktls = cJSON_AddObjectToObject(tls, "ktls");
	return ktls && add_ktls(ktls, "rx", side->rx_kernel, side->rx_reason) &&
	       add_ktls(ktls, "tx", side->tx_kernel, side->tx_reason) &&
	       add_alert(tls, "alert_received", side->alert_received) &&
	       add_alert(tls, "alert_sent", side->alert_sent);
}

static bool add_flow(cJSON *to, const char *name, const struct conn_flow_info *flow)
{
	cJSON *object = cJSON_AddObjectToObject(to, name);

	return object && json_add_text(object, "relay", conn_relay_name(flow->relay)) &&
	       json_add_u64(object, "bytes", flow->bytes) &&
	       json_add_u64(object, "spliced", flow->spliced) &&
	       json_add_u64(object, "records_in", flow->records_in);
}

static bool add_phases(cJSON *to, const struct conn_info *info)
{
	cJSON *phases = cJSON_AddObjectToObject(to, "phases_ms");
	bool ok = phases != NULL;

	for (int i = 0; ok && i < CONN_STATES; i++)
		ok = json_add_ms(phases, conn_state_name((enum conn_state)i), info->phase_us[i]);
	return ok;
}

static bool add_fingerprint(cJSON *to, const char *name, bool known, const uint8_t bytes[32])
{
	return known ? json_add_hex(to, name, bytes, 32) : json_add_text(to, name, NULL);
}

static const char *mode_of(const struct conn_info *info)
{
	if (info->passed)
		return "pass";
	return info->state == CONN_PLAIN ? "plain" : "intercept";
}

/* null: nobody judged it, for the connection was passed or did not get that far. */
static bool add_judgement(cJSON *to, const struct conn_info *info)
{
	cJSON *object, *faults;
	bool ok = true;

	if (info->origin_verify == CONN_VERIFY_NONE)
		return json_add_text(to, "origin_certificate", NULL);
	object = cJSON_AddObjectToObject(to, "origin_certificate");
	if (!object || !json_add_text(object, "verify", conn_verify_name(info->origin_verify)))
		return false;
	if (!(info->origin_rule ? json_add_u64(object, "rule", info->origin_rule - 1U)
				: json_add_text(object, "rule", NULL)))
		return false;
	faults = cJSON_AddArrayToObject(object, "faults");
	for (unsigned int i = 0; ok && i < KSPLIT_ORIGIN_FAULT_COUNT; i++)
		if (info->origin_faults & 1U << i)
			ok = cJSON_AddItemToArray(
				faults, cJSON_CreateStringReference(ksplit_origin_fault_name(i)));
	return faults && ok;
}

static bool add_what(cJSON *to, const struct conn_info *info)
{
	return json_add_text(to, "direction", info->incoming ? "incoming" : "outgoing") &&
	       json_add_text(to, "mode", mode_of(info)) &&
	       json_add_text(to, "pass_reason",
			     info->pass_reason == KSPLIT_NONE
				     ? NULL
				     : ksplit_reason_name(info->pass_reason)) &&
	       json_add_foreign(to, "sni", info->sni, sizeof(info->sni)) &&
	       json_add_foreign(to, "alpn", info->alpn, sizeof(info->alpn));
}

static bool add_peers(cJSON *to, const struct conn_info *info)
{
	return conn_json_add_address(to, "client", &info->client) &&
	       conn_json_add_address(to, "local", &info->local) &&
	       conn_json_add_address(to, "upstream_local", &info->upstream_local) &&
	       conn_json_add_address(to, "upstream", &info->upstream);
}

/* null: no dialogue in plain has led to it. */
static bool add_upgrade(cJSON *to, const struct conn_info *info)
{
	cJSON *upgrade;

	if (info->upgrade == CONN_UPGRADE_NONE)
		return json_add_text(to, "starttls", NULL);
	upgrade = cJSON_AddObjectToObject(to, "starttls");
	return upgrade && json_add_text(upgrade, "protocol", conn_upgrade_name(info->upgrade)) &&
	       json_add_u64(upgrade, "to_origin_bytes", info->upgrade_bytes[FLOW_TO_ORIGIN]) &&
	       json_add_u64(upgrade, "to_client_bytes", info->upgrade_bytes[FLOW_TO_CLIENT]);
}

static bool add_details(cJSON *to, const struct conn_info *info)
{
	return add_what(to, info) && add_upgrade(to, info) &&
	       add_side(to, "client_tls", &info->side[SIDE_CLIENT]) &&
	       add_side(to, "upstream_tls", &info->side[SIDE_UPSTREAM]) &&
	       add_flow(to, "to_origin", &info->flow[FLOW_TO_ORIGIN]) &&
	       add_flow(to, "to_client", &info->flow[FLOW_TO_CLIENT]) && add_phases(to, info) &&
	       add_judgement(to, info) &&
	       add_fingerprint(to, "origin_fingerprint_sha256", info->has_origin_fp,
			       info->origin_fp) &&
	       add_fingerprint(to, "leaf_fingerprint_sha256", info->has_leaf_fp, info->leaf_fp);
}

static bool add_identity(cJSON *to, const struct conn_info *info)
{
	return json_add_time(to, "time", info->start_ms) && json_add_u64(to, "id", info->id) &&
	       add_peers(to, info);
}

static uint64_t duration_us(const struct conn_info *info)
{
	uint64_t sum = 0;

	for (int i = 0; i < CONN_STATES; i++)
		sum += info->phase_us[i];
	return sum;
}

cJSON *conn_json_ended(const struct conn_info *info)
{
	cJSON *object = cJSON_CreateObject();

	if (json_add_text(object, "type", "connection") && add_identity(object, info) &&
	    add_details(object, info) && json_add_ms(object, "duration_ms", duration_us(info)) &&
	    json_add_text(object, "reason", ksplit_reason_name(info->end_reason)))
		return object;
	cJSON_Delete(object);
	return NULL;
}

cJSON *conn_json_open(const struct conn_info *info, int64_t now_ms)
{
	cJSON *object = cJSON_CreateObject();
	uint64_t age = now_ms > info->start_ms ? (uint64_t)(now_ms - info->start_ms) : 0;

	if (add_identity(object, info) &&
	    json_add_text(object, "state", conn_state_name(info->state)) &&
	    json_add_u64(object, "age_ms", age) && add_details(object, info))
		return object;
	cJSON_Delete(object);
	return NULL;
}
