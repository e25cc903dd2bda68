// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/control.h"

#include <errno.h>
#include <ksplit/control.h>
#include <ksplit/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "export/conn_json.h"
#include "export/json_add.h"
#include "export/sock_json.h"
#include "observe/sock_diag.h"
#include "observe/tls_stat.h"

#define ERROR_LEN 200

/*
 * A command adds its members to `data`. 0, -ENOMEM, or another -errno with a sentence in `error`.
 */
typedef int (*command_fn)(const struct control_source *source, cJSON *data, char error[ERROR_LEN]);

static int64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* summary */

static bool add_daemon(cJSON *data, const struct control_summary *summary)
{
	int64_t up = wall_ms() - summary->start_ms;

	return json_add_text(data, "version", summary->version) &&
	       json_add_u64(data, "pid", (uint64_t)summary->pid) &&
	       json_add_time(data, "start_time", summary->start_ms) &&
	       json_add_u64(data, "uptime_s", up > 0 ? (uint64_t)up / 1000 : 0) &&
	       json_add_u64(data, "workers", summary->workers) &&
	       json_add_bool(data, "draining", summary->draining) &&
	       json_add_text(data, "degraded", summary->degraded) &&
	       json_add_text(data, "openssl", summary->openssl);
}

static bool add_config(cJSON *data, const struct control_summary *summary)
{
	cJSON *config = cJSON_AddObjectToObject(data, "config");

	return config && json_add_text(config, "relay", summary->relay) &&
	       json_add_text(config, "ktls", summary->ktls) &&
	       json_add_text(config, "verify", summary->verify) &&
	       json_add_u64(config, "max_connections", summary->max_connections);
}

static bool add_open_connections(cJSON *data, const struct control_summary *summary)
{
	cJSON *connections = cJSON_AddObjectToObject(data, "connections");
	cJSON *by_state;
	uint64_t open = 0;
	bool ok;

	for (int i = 0; i < CONN_STATES; i++)
		open += summary->open_by_state[i];
	ok = json_add_u64(connections, "open", open) &&
	     json_add_u64(connections, "passed_open", summary->open_passed);
	by_state = ok ? cJSON_AddObjectToObject(connections, "by_state") : NULL;
	ok = by_state != NULL;
	for (int i = 0; ok && i < CONN_STATES; i++)
		ok = json_add_u64(by_state, conn_state_name((enum conn_state)i),
				  summary->open_by_state[i]);
	return ok;
}

static cJSON *group_of(cJSON *data, const char *name)
{
	cJSON *group = cJSON_GetObjectItemCaseSensitive(data, name);

	return group ? group : cJSON_AddObjectToObject(data, name);
}

static bool add_counters(cJSON *data, const struct stats_sum *sum)
{
	bool ok = true;

	for (int i = 0; ok && i < STAT_COUNT; i++) {
		enum stats_counter counter = (enum stats_counter)i;

		ok = json_add_u64(group_of(data, stats_group(counter)), stats_name(counter),
				  sum->counters[i]);
	}
	return ok;
}

/* Those that happened; there are many. */
static bool add_reasons(cJSON *data, const struct stats_sum *sum)
{
	static const char *const classes[] = {
		[KSPLIT_CLASS_END] = "end",
		[KSPLIT_CLASS_PASS] = "pass",
		[KSPLIT_CLASS_FALLBACK] = "fallback",
	};
	cJSON *reasons = cJSON_AddObjectToObject(data, "reasons");
	bool ok = reasons && group_of(reasons, "end") && group_of(reasons, "pass") &&
		  group_of(reasons, "fallback");

	for (int i = 0; ok && i < KSPLIT_REASON_COUNT; i++) {
		enum ksplit_reason reason = (enum ksplit_reason)i;

		if (reason == KSPLIT_NONE || !sum->reasons[i])
			continue;
		ok = json_add_u64(group_of(reasons, classes[ksplit_reason_class(reason)]),
				  ksplit_reason_name(reason), sum->reasons[i]);
	}
	return ok;
}

static bool add_leaf_cache(cJSON *data, const struct control_summary *summary)
{
	cJSON *cache = cJSON_AddObjectToObject(data, "leaf_cache");

	return cache && json_add_u64(cache, "entries", summary->leaf_cache.entries) &&
	       json_add_u64(cache, "hits", summary->leaf_cache.hits) &&
	       json_add_u64(cache, "misses", summary->leaf_cache.misses) &&
	       json_add_u64(cache, "forged", summary->leaf_cache.forged) &&
	       json_add_u64(cache, "failed", summary->leaf_cache.failed) &&
	       json_add_u64(cache, "waited", summary->leaf_cache.waited) &&
	       json_add_u64(cache, "evicted", summary->leaf_cache.evicted);
}

static int answer_summary(const struct control_source *source, cJSON *data, char error[ERROR_LEN])
{
	struct control_summary summary = {0};
	struct stats_sum sum = {0};

	(void)error;
	source->read_summary(source->ctx, &summary);
	source->read_stats(source->ctx, &sum);
	return add_daemon(data, &summary) && add_config(data, &summary) &&
			       add_open_connections(data, &summary) && add_counters(data, &sum) &&
			       add_reasons(data, &sum) && add_leaf_cache(data, &summary)
		       ? 0
		       : -ENOMEM;
}

/* connections */

/* A side whose addresses are not known, or whose socket is gone meanwhile, is null. */
static bool add_socket(cJSON *to, const char *name, struct sock_diag *diag,
		       const union conn_address *local, const union conn_address *remote)
{
	struct sock_diag_info info = {0};

	if (!diag || !local->sa.sa_family || !remote->sa.sa_family ||
	    sock_diag_query(diag, local, remote, &info) < 0)
		info.found = false;
	return json_add_item(to, name, sock_json(&info));
}

static bool add_connection(cJSON *array, struct sock_diag *diag, const struct conn_info *info,
			   int64_t now_ms)
{
	cJSON *connection = conn_json_open(info, now_ms);
	cJSON *kernel;

	if (!connection)
		return false;
	cJSON_AddItemToArray(array, connection);
	kernel = cJSON_AddObjectToObject(connection, "kernel");
	return kernel && add_socket(kernel, "client", diag, &info->local, &info->client) &&
	       add_socket(kernel, "upstream", diag, &info->upstream_local, &info->upstream);
}

static bool add_connections(cJSON *data, const struct conn_info *connections, size_t count)
{
	cJSON *array = cJSON_AddArrayToObject(data, "connections");
	struct sock_diag *diag = NULL;
	int err = sock_diag_open(&diag);
	int64_t now_ms = wall_ms();
	bool ok = array && json_add_text(data, "socket_diagnostics_error",
					 err ? strerrordesc_np(-err) : NULL);

	for (size_t i = 0; ok && i < count; i++)
		ok = add_connection(array, err ? NULL : diag, &connections[i], now_ms);
	if (!err)
		sock_diag_close(diag);
	return ok;
}

static int answer_connections(const struct control_source *source, cJSON *data,
			      char error[ERROR_LEN])
{
	struct conn_info *connections = NULL;
	size_t count = 0;
	int err = source->read_connections(source->ctx, &connections, &count);

	if (err == -ETIMEDOUT)
		snprintf(error, ERROR_LEN, "a worker does not answer");
	else if (err)
		snprintf(error, ERROR_LEN, "connections cannot be read: %s", strerrordesc_np(-err));
	else if (!add_connections(data, connections, count))
		err = -ENOMEM;
	free(connections);
	return err;
}

/* kernel */

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

static int answer_kernel(const struct control_source *source, cJSON *data, char error[ERROR_LEN])
{
	struct control_summary summary = {0};
	struct utsname name;

	(void)error;
	source->read_summary(source->ctx, &summary);
	return json_add_text(data, "release", uname(&name) == 0 ? name.release : NULL) &&
			       add_ktls(data, &summary) && add_tls_stat(data)
		       ? 0
		       : -ENOMEM;
}

/* requests */

static const struct command {
	const char *name;
	command_fn answer;
} commands[] = {
	{KSPLIT_COMMAND_SUMMARY, answer_summary},
	{KSPLIT_COMMAND_CONNECTIONS, answer_connections},
	{KSPLIT_COMMAND_KERNEL, answer_kernel},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

/* One JSON value and nothing behind it. NULL: not that. */
static cJSON *parse_line(const char *line, size_t len)
{
	const char *end = NULL;
	cJSON *request = cJSON_ParseWithLengthOpts(line, len, &end, 0);
	size_t rest = request ? len - (size_t)(end - line) : 0;

	while (rest && strchr(" \t\r", end[0]) && end[0]) {
		end++;
		rest--;
	}
	if (!rest)
		return request;
	cJSON_Delete(request);
	return NULL;
}

/* The command that a request names; NULL with a sentence in `error`. */
static const struct command *read_request(const cJSON *request, char error[ERROR_LEN])
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(request, "version");
	const cJSON *command = cJSON_GetObjectItemCaseSensitive(request, "command");
	const struct command *found = NULL;
	char name[64];

	if (!cJSON_IsObject(request)) {
		snprintf(error, ERROR_LEN, "a request is one JSON object on one line");
	} else if (!cJSON_IsNumber(version)) {
		snprintf(error, ERROR_LEN, "`version` is missing or not a number");
	} else if (version->valuedouble != KSPLIT_CONTROL_VERSION) {
		snprintf(error, ERROR_LEN, "version %g is not spoken here; this daemon speaks %d",
			 version->valuedouble, KSPLIT_CONTROL_VERSION);
	} else if (!cJSON_IsString(command)) {
		snprintf(error, ERROR_LEN, "`command` is missing or not a string");
	} else {
		found = find_command(command->valuestring);
		ksplit_text_escape(name, sizeof(name), command->valuestring,
				   strlen(command->valuestring));
		if (!found)
			snprintf(error, ERROR_LEN,
				 "unknown command `%s`; known: summary, connections, kernel", name);
	}
	return found;
}

/* The whole answer; owns `data` from now on (NULL: an error). */
static char *print_answer(cJSON *data, const char *error)
{
	cJSON *answer = cJSON_CreateObject();
	char *text = NULL;
	bool ok = json_add_u64(answer, "version", KSPLIT_CONTROL_VERSION) &&
		  json_add_bool(answer, "ok", data != NULL);

	if (ok && data) {
		ok = json_add_item(answer, "data", data);
	} else {
		cJSON_Delete(data);
		ok = ok && json_add_text(answer, "error", error);
	}
	if (ok)
		text = cJSON_PrintUnformatted(answer);
	cJSON_Delete(answer);
	return text;
}

char *control_answer(const struct control_source *source, const char *line, size_t len)
{
	char error[ERROR_LEN] = "out of memory";
	cJSON *request = parse_line(line, len);
	const struct command *command = read_request(request, error);
	cJSON *data = command ? cJSON_CreateObject() : NULL;

	cJSON_Delete(request);
	if (data && command->answer(source, data, error) != 0) {
		cJSON_Delete(data);
		data = NULL;
	}
	return print_answer(data, error);
}
