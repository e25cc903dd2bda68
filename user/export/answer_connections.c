// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/conn_json.h"
#include "export/json_add.h"
#include "export/sock_json.h"
#include "observe/sock_diag.h"

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
	int64_t now_ms = answer_wall_ms();
	bool ok = array && json_add_text(data, "socket_diagnostics_error",
					 err ? strerrordesc_np(-err) : NULL);

	for (size_t i = 0; ok && i < count; i++)
		ok = add_connection(array, err ? NULL : diag, &connections[i], now_ms);
	if (!err)
		sock_diag_close(diag);
	return ok;
}

int answer_connections(const struct control_source *source, cJSON *data, char error[ANSWER_ERROR])
{
	struct conn_info *connections = NULL;
	size_t count = 0;
	int err = source->read_connections(source->ctx, &connections, &count);

	if (err == -ETIMEDOUT)
		snprintf(error, ANSWER_ERROR, "a worker does not answer");
	else if (err)
		snprintf(error, ANSWER_ERROR, "connections cannot be read: %s",
			 strerrordesc_np(-err));
	else if (!add_connections(data, connections, count))
		err = -ENOMEM;
	free(connections);
	return err;
}
