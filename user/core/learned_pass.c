// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/learned_pass.h"

#include <errno.h>
#include <stdlib.h>

#include "tls/protocol.h"

struct learned_pass {
	uint32_t lifetime_ms;
	struct pass_list *list;
};

int learned_pass_new(uint32_t lifetime_ms, size_t names, struct learned_pass **out)
{
	struct learned_pass *learned = calloc(1, sizeof(*learned));
	int err;

	if (!learned)
		return -ENOMEM;
	learned->lifetime_ms = lifetime_ms;
	err = pass_list_new(names, &learned->list);
	if (err) {
		free(learned);
		return err;
	}
	*out = learned;
	return 0;
}

void learned_pass_free(struct learned_pass *learned)
{
	if (!learned)
		return;
	pass_list_free(learned->list);
	free(learned);
}

enum ksplit_reason learned_pass_of_alert(int alert)
{
	switch (alert) {
	case ALERT_BAD_CERTIFICATE:
	case ALERT_CERTIFICATE_UNKNOWN:
	case ALERT_UNKNOWN_CA: return KSPLIT_PASS_LEARNED;
	case ALERT_ECH_REQUIRED: return KSPLIT_PASS_ECH;
	default: return KSPLIT_NONE;
	}
}

bool learned_pass_add(struct learned_pass *learned, enum ksplit_reason reason,
		      const union conn_address *client, const char *name,
		      const union conn_address *origin, uint64_t now_ms)
{
	struct pass_key key;

	if (!learned->lifetime_ms)
		return false;
	pass_key_set(&key, reason, PASS_NO_RULE, client, name, origin);
	return !pass_list_put(learned->list, &key, now_ms, now_ms + learned->lifetime_ms);
}

static bool is_known(struct learned_pass *learned, enum ksplit_reason reason,
		     const union conn_address *client, const char *name,
		     const union conn_address *origin, uint64_t now_ms)
{
	struct pass_key key;

	pass_key_set(&key, reason, PASS_NO_RULE, client, name, origin);
	return pass_list_use(learned->list, &key, now_ms);
}

enum ksplit_reason learned_pass_find(struct learned_pass *learned, const union conn_address *client,
				     const char *name, const union conn_address *origin,
				     const struct learned_offer *offer, uint64_t now_ms)
{
	if (pass_list_empty(learned->list))
		return KSPLIT_NONE;
	if (is_known(learned, KSPLIT_PASS_LEARNED, client, name, origin, now_ms))
		return KSPLIT_PASS_LEARNED;
	if (is_known(learned, KSPLIT_PASS_RENEGOTIATION, client, name, origin, now_ms))
		return KSPLIT_PASS_RENEGOTIATION;
	if (offer->ech && is_known(learned, KSPLIT_PASS_ECH, client, name, origin, now_ms))
		return KSPLIT_PASS_ECH;
	if (offer->post_handshake_auth &&
	    is_known(learned, KSPLIT_PASS_LATE_CERT, client, name, origin, now_ms))
		return KSPLIT_PASS_LATE_CERT;
	return KSPLIT_NONE;
}

enum ksplit_reason learned_pass_find_upgrade(struct learned_pass *learned,
					     const union conn_address *client, const char *name,
					     const union conn_address *origin, uint64_t now_ms)
{
	if (pass_list_empty(learned->list) ||
	    !is_known(learned, KSPLIT_PASS_UPGRADE, client, name, origin, now_ms))
		return KSPLIT_NONE;
	return KSPLIT_PASS_UPGRADE;
}

int learned_pass_read(struct learned_pass *learned, uint64_t now_ms, struct pass_entry **out,
		      size_t *len)
{
	return pass_list_read(learned->list, now_ms, out, len);
}
