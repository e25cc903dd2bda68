// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/aggregate_memo.h"

#include <string.h>

bool aggregate_memo_fits(const struct aggregate_memo *memo, const struct observe_request *request)
{
	return memo->status == request->status && memo->grpc_status == request->grpc_status &&
	       memo->version == request->version && !request->path_cut &&
	       strcmp(memo->text + memo->path, request->path) == 0 &&
	       strcmp(memo->text + memo->host, request->host) == 0 &&
	       strcmp(memo->text, request->method) == 0;
}

void aggregate_memo_set(struct aggregate_memo *memo, const struct observe_request *request)
{
	size_t method = strlen(request->method) + 1;
	size_t host = strlen(request->host) + 1, path = strlen(request->path) + 1;

	explicit_bzero(memo->text, sizeof(memo->text));
	if (!memo->series || request->path_cut || method + host + path > sizeof(memo->text)) {
		memo->series = NULL;
		return;
	}
	memo->status = request->status;
	memo->grpc_status = request->grpc_status;
	memo->version = request->version;
	memo->host = (uint16_t)method;
	memo->path = (uint16_t)(method + host);
	memcpy(memo->text, request->method, method);
	memcpy(memo->text + memo->host, request->host, host);
	memcpy(memo->text + memo->path, request->path, path);
}
