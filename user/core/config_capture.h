/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_CAPTURE_H
#define KSPLIT_CORE_CONFIG_CAPTURE_H

#include "core/config_reader.h"

/* The "capture" section into reader->config->capture; fits struct config_field. */
config_reader_fn config_capture_read;

/*
 * When all listeners are known (the command line may have changed them): find the listeners that
 * captured connections are led to, and refuse what no captured connection can reach. `path` names
 * the configuration file in `error`. 0, -EINVAL or -ENOMEM with one line in `error`.
 */
int config_capture_resolve(struct config *config, const char *path, char *error, size_t error_len);

#endif
