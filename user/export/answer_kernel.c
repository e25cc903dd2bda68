// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/answer.h"

#include <string.h>
#include <sys/utsname.h>

#include "export/json_add.h"
#include "export/observer_json.h"
#include "observe/tls_stat.h"

static bool add_ciphers(cJSON *to, const char *name, const bool supported[4])
{
	static const char *const names[4] = {NULL, "AES-128-GCM", "AES-256-GCM",
					     "CHACHA20-POLY1305"};
	cJSON *array = cJSON_AddArrayToObject(to, name);
	bool ok = array != NULL;

	for (int i = 0; ok && i < 4; i++) {
		if (names[i] && supported[i])
			ok = cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
	}
	return ok;
}

static bool add_direction(cJSON *to, const char *name, const bool supported[2][4])
{
	cJSON *versions = cJSON_AddObjectToObject(to, name);

	return versions && add_ciphers(versions, conn_version_name(0x0303), supported[0]) &&
	       add_ciphers(versions, conn_version_name(0x0304), supported[1]);
}

static bool add_ktls(cJSON *data, const struct control_summary *summary)
{
	cJSON *ktls = cJSON_AddObjectToObject(data, "ktls");

	return ktls && json_add_bool(ktls, "ulp", summary->ktls_ulp) &&
	       json_add_text(ktls, "error",
			     summary->ktls_ulp ? NULL : strerrordesc_np(summary->ktls_ulp_errno)) &&
	       json_add_bool(ktls, "rekey", summary->ktls_rekey) &&
	       add_direction(ktls, "tx", summary->ktls_tx) &&
	       add_direction(ktls, "rx", summary->ktls_rx);
}

static bool add_tls_stat(cJSON *data)
{
	struct tls_stat stat;
	cJSON *object;
	bool ok;

	if (tls_stat_read(&stat) < 0)
		return json_add_text(data, "tls_stat", NULL);
	object = cJSON_AddObjectToObject(data, "tls_stat");
	ok = object != NULL;
	for (size_t i = 0; ok && i < stat.len; i++)
		ok = json_add_u64(object, stat.counters[i].name, stat.counters[i].value);
	return ok;
}

static bool add_sampler(const struct control_source *source, cJSON *data)
{
	struct observer_status status = {0};

	if (source->read_observer)
		source->read_observer(source->ctx, &status);
	return json_add_item(data, "sampler",
			     observer_json(source->read_observer ? &status : NULL));
}

/* null: capture by connect hook is not configured. */
static bool add_hook(const struct control_source *source, cJSON *data)
{
	struct control_hook hook;
	cJSON *object, *calls;
	bool ok;

	if (!source->read_hook || !source->read_hook(source->ctx, &hook))
		return json_add_text(data, "capture_hook", NULL);
	object = cJSON_AddObjectToObject(data, "capture_hook");
	ok = object && json_add_bool(object, "on", hook.on) &&
	     json_add_text(object, "why", *hook.why ? hook.why : NULL) &&
	     json_add_u64(object, "wanted", hook.wanted) &&
	     json_add_u64(object, "attached", hook.attached);
	calls = ok ? cJSON_AddObjectToObject(object, "calls") : NULL;
	ok = calls != NULL;
	for (size_t i = 0; ok && i < hook.counts_len; i++)
		ok = json_add_u64(calls, hook.counts[i].name, hook.counts[i].value);
	return ok;
}

int answer_kernel(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct control_summary summary = {0};
	struct utsname name;

	(void)error;
	source->read_summary(source->ctx, &summary);
	return json_add_text(data, "release", uname(&name) == 0 ? name.release : NULL) &&
			       add_ktls(data, &summary) && add_sampler(source, data) &&
			       add_hook(source, data) && add_tls_stat(data)
		       ? 0
		       : -ENOMEM;
}
