// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_taps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_error.h"
#include "core/config_rule.h"
#include "tap/content_name.h"

void config_taps_init(struct config_taps *taps)
{
	*taps = (struct config_taps){
		.keylog_side = TAPS_SIDE_BOTH,
		.content_connection = 1024,
		.content_total = 1024,
		.pcapng_connection = 16384,
		.pcapng_file = 100,
		.pcapng_files = 4,
	};
}

void config_taps_free(struct config_taps *taps)
{
	free(taps->keylog);
	free(taps->content);
	free(taps->pcapng);
	policy_rule_free(&taps->which);
}

int config_taps_read_sni(struct config_reader *reader, const cJSON *value, const char *key,
			 void *out)
{
	(void)out;
	return config_rule_read_sni(reader, value, key, &reader->config->taps.which);
}

int config_taps_read_networks(struct config_reader *reader, const cJSON *value, const char *key,
			      void *out)
{
	(void)out;
	return config_rule_read_networks(reader, value, key, &reader->config->taps.which);
}

int config_taps_read_ports(struct config_reader *reader, const cJSON *value, const char *key,
			   void *out)
{
	(void)out;
	return config_rule_read_ports(reader, value, key, &reader->config->taps.which);
}

static int check_path(const char *key, const char *path, char *error, size_t error_len)
{
	const size_t len = path ? strlen(path) : 0;

	if (!path || (path[0] == '/' && path[len - 1] != '/' && len <= 500))
		return 0;
	config_error_set(error, error_len,
			 "\"taps.%s\": is \"%.256s\", expected the absolute path of a file", key,
			 path);
	return -EINVAL;
}

int config_taps_check(const struct config_taps *taps, char *error, size_t error_len)
{
	const char *expected = taps->content ? content_name_check(taps->content) : NULL;
	int rc = check_path("keylog", taps->keylog, error, error_len);

	if (rc == 0)
		rc = check_path("pcapng", taps->pcapng, error, error_len);
	if (rc || !expected)
		return rc;
	config_error_set(error, error_len, "\"taps.content\": is \"%.256s\", expected %s",
			 taps->content, expected);
	return -EINVAL;
}
