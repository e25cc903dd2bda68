// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/tls_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TLS_STAT_PATH "/proc/net/tls_stat"

static void parse_line(const char *line, struct tls_stat *out)
{
	size_t name_len = strcspn(line, " \t\n");
	const char *digits = line + name_len + strspn(line + name_len, " \t");
	size_t digits_len = strspn(digits, "0123456789");
	char end = digits[digits_len];

	if (name_len == 0 || name_len >= TLS_STAT_NAME_MAX || digits_len == 0 ||
	    (end != '\n' && end != '\0'))
		return;
	memcpy(out->counters[out->len].name, line, name_len);
	out->counters[out->len].name[name_len] = '\0';
	out->counters[out->len++].value = strtoull(digits, NULL, 10);
}

void tls_stat_parse(const char *text, struct tls_stat *out)
{
	out->len = 0;
	while (*text && out->len < TLS_STAT_MAX) {
		parse_line(text, out);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

int tls_stat_read(struct tls_stat *out)
{
	char text[4096];
	size_t len = 0;
	ssize_t n;
	int fd = open(TLS_STAT_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	n = n < 0 ? -errno : 0;
	close(fd);
	text[len] = '\0';
	tls_stat_parse(text, out);
	return (int)n;
}
