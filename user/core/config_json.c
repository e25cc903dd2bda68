// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config_error.h"
#include "core/json_text.h"

#define FILE_MAX  (1024 * 1024)
#define BLANKS    " \t\r\n"
#define NEAR_SHOW 24

/* All of a descriptor into `buffer`, which has room for FILE_MAX + 1. 0 or -errno. */
static int descriptor_read(int fd, char *buffer, size_t *len)
{
	ssize_t n;

	*len = 0;
	/* One byte more than allowed tells a file that is too long. */
	while (*len <= FILE_MAX) {
		n = read(fd, buffer + *len, FILE_MAX + 1 - *len);
		if (n == 0)
			return 0;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return -EFBIG;
}

/* The whole of a file into *text, terminated; the caller frees it. 0 or -errno. */
static int file_read(const char *path, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	*text = malloc(FILE_MAX + 2);
	rc = *text ? descriptor_read(fd, *text, len) : -ENOMEM;
	close(fd);
	if (rc) {
		free(*text);
		*text = NULL;
		return rc;
	}
	(*text)[*len] = '\0';
	return 0;
}

/*
 * The place of the error. Where a member's name should be, cJSON stops one character behind what it
 * found instead.
 */
static const char *error_place(const char *text, const char *end)
{
	const char *before = end - 1;

	if (end == text || strchr(BLANKS "[{,:", *before))
		return end + strspn(end, BLANKS);
	while (before > text && strchr(BLANKS, before[-1]))
		before--;
	if (before > text && (before[-1] == '{' || before[-1] == ','))
		return end - 1;
	return end + strspn(end, BLANKS);
}

/* Where cJSON gave up. */
static void describe_end(const char *path, const char *text, const char *end, char *error,
			 size_t error_len)
{
	const char *near = end ? error_place(text, end) : text;
	size_t len = strcspn(near, "\r\n");

	if (*near)
		config_error_set(error, error_len, "%s:%zu: not JSON at \"%.*s\"", path,
				 json_text_line(text, (size_t)(near - text)),
				 (int)(len < NEAR_SHOW ? len : NEAR_SHOW), near);
	else
		config_error_set(
			error, error_len,
			"%s:%zu: not JSON: the file ends before its last bracket is closed", path,
			json_text_line(text, (size_t)(near - text)));
}

/* Comments out, strictness in. 0 or -EINVAL with the error told. */
static int prepare(const char *path, char *text, size_t len, char *error, size_t error_len)
{
	const char *what = "a comment that starts here does not end";
	size_t line;

	/* Some editors begin a file with U+FEFF; RFC 8259 section 8.1 lets a reader pass over it.
	 */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		memset(text, ' ', 3);
	if (json_text_blank_comments(text, len, &line) == 0 &&
	    json_text_check(text, len, &line, &what) == 0)
		return 0;
	config_error_set(error, error_len, "%s:%zu: %s", path, line, what);
	return -EINVAL;
}

static int parse(const char *path, struct config_json *json, size_t len, char *error,
		 size_t error_len)
{
	const char *end = NULL;
	int rc = prepare(path, json->text, len, error, error_len);

	if (rc)
		return rc;
	if (json->text[strspn(json->text, BLANKS)] == '\0') {
		config_error_set(error, error_len, "%s:1: empty, expected an object: { ... }",
				 path);
		return -EINVAL;
	}
	json->root = cJSON_ParseWithLengthOpts(json->text, len + 1, &end, 1);
	if (json->root)
		return 0;
	describe_end(path, json->text, end, error, error_len);
	return -EINVAL;
}

int config_json_load(const char *path, struct config_json *json, char *error, size_t error_len)
{
	size_t len = 0;
	int rc;

	memset(json, 0, sizeof(*json));
	rc = file_read(path, &json->text, &len);
	if (rc) {
		config_error_set(error, error_len, "%s: cannot be read: %s", path,
				 rc == -EFBIG ? "longer than 1 MiB" : strerror(-rc));
		return rc;
	}
	rc = parse(path, json, len, error, error_len);
	if (rc)
		config_json_free(json);
	return rc;
}

void config_json_free(struct config_json *json)
{
	cJSON_Delete(json->root);
	free(json->text);
	memset(json, 0, sizeof(*json));
}
