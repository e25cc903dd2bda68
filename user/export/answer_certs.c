// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/answer.h"
#include "export/json_add.h"

void control_certs_free(struct control_certs *certs)
{
	free(certs->certs);
	memset(certs, 0, sizeof(*certs));
}

static bool add_cert(cJSON *array, const struct control_cert *cert, int64_t now_ms)
{
	cJSON *row = cJSON_CreateObject();

	return row && cJSON_AddItemToArray(array, row) && json_add_text(row, "kind", cert->kind) &&
	       json_add_text(row, "state", cert->state) &&
	       json_add_foreign(row, "name", cert->name, sizeof(cert->name)) &&
	       json_add_u64(row, "names", cert->names) && json_add_text(row, "key", cert->key) &&
	       json_add_moment(row, "not_before", cert->from_ms) &&
	       json_add_moment(row, "not_after", cert->until_ms) &&
	       json_add_span(row, "expires_ms", now_ms, cert->until_ms) &&
	       json_add_hex(row, "fingerprint_sha256", cert->fingerprint,
			    sizeof(cert->fingerprint));
}

int answer_certs(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	cJSON *rows = cJSON_AddArrayToObject(data, "certs");
	int64_t now_ms = answer_wall_ms();
	struct control_certs certs;
	bool ok = rows != NULL;
	int err;

	if (!source->read_certs) {
		snprintf(error, ANSWER_ERROR, "nothing is known of certificates");
		return -ENOTSUP;
	}
	err = source->read_certs(source->ctx, &certs);
	if (err)
		return err;
	for (size_t i = 0; ok && i < certs.len; i++)
		ok = add_cert(rows, &certs.certs[i], now_ms);
	control_certs_free(&certs);
	return ok ? 0 : -ENOMEM;
}
