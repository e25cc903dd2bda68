/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_TAPS_H
#define KSPLIT_CORE_CONFIG_TAPS_H

#include "core/config.h"
#include "core/config_reader.h"

/* Section "taps": what is written of keys and plaintext (docs/taps.md). Nothing by default. */
void config_taps_init(struct config_taps *taps);
void config_taps_free(struct config_taps *taps);

/* "taps.sni", "taps.networks", "taps.ports": which connections. */
config_reader_fn config_taps_read_sni, config_taps_read_networks, config_taps_read_ports;

/* Paths and the pattern. 0 or -EINVAL with one line. */
int config_taps_check(const struct config_taps *taps, char *error, size_t error_len);

#endif
