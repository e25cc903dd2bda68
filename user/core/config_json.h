/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_JSON_H
#define KSPLIT_CORE_CONFIG_JSON_H

#include <cJSON.h>
#include <stddef.h>

/* A configuration file as text and as values. */
struct config_json {
	char *text;  /* comments blanked, so that json_text_line_of finds lines */
	cJSON *root; /* of any type */
};

/*
 * Read a file of JSON with comments, up to 1 MiB. 0 with *json filled, to be freed with
 * config_json_free; -errno (-EINVAL: not JSON) with one line in `error` and nothing to free.
 */
int config_json_load(const char *path, struct config_json *json, char *error, size_t error_len);

void config_json_free(struct config_json *json);

#endif
