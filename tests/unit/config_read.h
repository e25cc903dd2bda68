/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CONFIG_READ_H
#define KSPLIT_TESTS_CONFIG_READ_H

/* A text read as a configuration file, and what is expected of it. After cmocka.h. */

#include "config_file.h"
#include "core/config.h"

/* A group of members that config_check is content with, to be put in front of others. */
#define CONFIG_WHOLE                                                                               \
	"\"ca\": {\"cert\": \"/c\", \"key\": \"/k\"}, "                                            \
	"\"listeners\": [{\"listen\": \"127.0.0.1:8443\", \"to\": \"original\"}]"

/* Read `len` bytes as a file; the error without the file's name in front of it. */
static inline int config_read_bytes(struct config *config, const char *text, size_t len,
				    char *error, size_t error_len)
{
	struct config_file file;
	char full[1024] = "";
	size_t skip;
	int rc;

	config_init(config);
	config_file_write(&file, text, len);
	rc = config_read_file(config, file.path, full, sizeof(full));
	config_file_remove(&file);
	skip = strlen(file.path) + 1;
	if (rc) {
		assert_memory_equal(full, file.path, strlen(file.path));
		assert_null(strpbrk(full, "\n\r\x1b"));
	} else {
		assert_string_equal(full, "");
	}
	snprintf(error, error_len, "%s", rc ? full + skip : "");
	return rc;
}

static inline int config_read_text(struct config *config, const char *text, char *error,
				   size_t error_len)
{
	return config_read_bytes(config, text, strlen(text), error, error_len);
}

#endif
