/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_UPSTREAM_H
#define KSPLIT_CORE_CONFIG_UPSTREAM_H

#include "core/config_reader.h"

/* Read "upstream.rules", a list, into config.upstream (docs/upstream.md). */
config_reader_fn config_upstream_read_rules;

#endif
