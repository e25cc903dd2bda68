/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_OPTIONS_H
#define KSPLIT_CORE_OPTIONS_H

#include <stddef.h>

#include "core/config.h"

enum options_action { OPTIONS_RUN, OPTIONS_EXIT };

/*
 * Read command line and configuration file into an initialised `config`: file first (-c, else
 * CONFIG_PATH if it is there), the command line over it, then config_check. --help and --version
 * print to stdout and give OPTIONS_EXIT. 0, or -EINVAL (or the file's -errno) with one line in
 * `error`.
 */
int options_read(int argc, char **argv, struct config *config, enum options_action *action,
		 char *error, size_t error_len);

#endif
