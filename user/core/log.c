// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <ksplit/text.h>

#define LOG_LINE 1024 /* whole line with its newline, bytes */

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static _Atomic enum log_level log_level = LOG_LEVEL_INFO;
/* Written by log_setup alone, before there are threads; only read afterwards. */
static bool log_to_syslog;

void log_setup(enum log_level level, bool to_syslog)
{
	log_set_level(level);
	if (to_syslog && !log_to_syslog)
		openlog("ksplitd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	if (!to_syslog && log_to_syslog)
		closelog();
	log_to_syslog = to_syslog;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *level)
{
	size_t i;

	for (i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static int log_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR: return LOG_ERR;
	case LOG_LEVEL_WARN: return LOG_WARNING;
	case LOG_LEVEL_INFO: return LOG_INFO;
	case LOG_LEVEL_DEBUG: break;
	}
	return LOG_DEBUG;
}

/* "2026-01-31T23:59:59.123Z info: " (RFC 3339, UTC). Returns its length. */
static size_t log_print_head(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(line + used, size - used, ".%03ldZ %s: ", now.tv_nsec / 1000000,
				 level_names[level]);
	return used;
}

/* The message escaped into line[used..], "..." at its end when it did not fit. */
static size_t log_print_message(char *line, size_t size, size_t used, const char *message, bool cut)
{
	size_t len = strlen(message), taken;

	taken = ksplit_text_escape(line + used, size - used - 3, message, len);
	used += strlen(line + used);
	if (cut || taken < len) {
		memcpy(line + used, "...", 4);
		used += 3;
	}
	return used;
}

/* One write(2) a line, so that lines of several threads do not mix. */
static void log_write_stderr(char *line, size_t len)
{
	ssize_t n;

	line[len] = '\n';
	do
		n = write(STDERR_FILENO, line, len + 1);
	while (n < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char message[LOG_LINE], line[LOG_LINE];
	int saved = errno, len;
	size_t used = 0;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	len = vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (len < 0)
		message[0] = '\0';
	if (!log_to_syslog)
		used = log_print_head(line, sizeof(line), level);
	/* The byte after the text is the newline's (stderr) or the terminator's (syslog). */
	used = log_print_message(line, sizeof(line) - 1, used, message,
				 len >= (int)sizeof(message));
	if (log_to_syslog)
		syslog(log_priority(level), "%s", line);
	else
		log_write_stderr(line, used);
	errno = saved;
}
