/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_LOG_H
#define KSPLIT_CORE_LOG_H

#include <stdbool.h>

/*
 * The daemon's own log: one line a message, to stderr (foreground) or syslog (daemon). Secrets and
 * payload never go through here.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Set the level and the sink once, before threads start. stderr lines carry time and level;
 * syslog(3) has its own.
 */
void log_setup(enum log_level level, bool to_syslog);

/* Another level from now on; any thread. */
void log_set_level(enum log_level level);

/* Parse "error", "warn", "info" or "debug". 0, or -EINVAL. */
int log_level_parse(const char *name, enum log_level *level);

/* Is a message of this level written? For callers that would have to compute its arguments. */
bool log_enabled(enum log_level level);

/* Write one line (no newline in fmt). Thread-safe; longer than 1 KiB is cut. Control characters in
 * the result are replaced, since names come from the network. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)

#endif
