/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CAPTURE_READ_H
#define KSPLIT_TESTS_CAPTURE_READ_H

/* A "capture" section read with listeners of every sort beside it. After cmocka.h. */

#include "config_read.h"
#include "core/config_capture.h"

#define CAPTURE_LISTENERS                                                                          \
	"{\"listen\": \"127.0.0.1:8443\", \"to\": \"original\"}, "                                 \
	"{\"listen\": \"[::1]:8443\", \"to\": \"original\"}, "                                     \
	"{\"listen\": \"0.0.0.0:8444\", \"to\": \"original\"}, "                                   \
	"{\"listen\": \"[::]:8444\", \"to\": \"original\"}, "                                      \
	"{\"listen\": \"127.0.0.1:8445\", \"to\": \"tproxy\"}, "                                   \
	"{\"listen\": \"[::]:8445\", \"to\": \"tproxy\"}, "                                        \
	"{\"listen\": \"192.0.2.1:8446\", \"to\": \"original\"}, "                                 \
	"{\"listen\": \"[2001:db8::1]:8446\", \"to\": \"original\"}, "                             \
	"{\"listen\": \"127.0.0.1:8447\", \"to\": \"sni:443\"}"

/*
 * Read `section` (what stands in its braces, from line 2 on) and `listeners`, resolve it. The error
 * without the file's name.
 */
static inline int capture_read_beside(struct config *config, const char *listeners,
				      const char *section, char *error, size_t error_len)
{
	char text[4096], full[1024] = "";
	int rc;

	assert_true((size_t)snprintf(text, sizeof(text),
				     "{\"listeners\": [%s], \"capture\": {\n%s}}", listeners,
				     section) < sizeof(text));
	rc = config_read_text(config, text, error, error_len);
	if (rc)
		return rc;
	rc = config_capture_resolve(config, "FILE", full, sizeof(full));
	if (rc)
		assert_memory_equal(full, "FILE:", 5);
	snprintf(error, error_len, "%s", rc ? full + 5 : "");
	return rc;
}

static inline int capture_read(struct config *config, const char *section, char *error,
			       size_t error_len)
{
	return capture_read_beside(config, CAPTURE_LISTENERS, section, error, error_len);
}

#endif
