/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_PASS_H
#define KSPLIT_CORE_CONFIG_PASS_H

#include "core/config_reader.h"

/* Read section "pass", a list of rules, into config.policy (docs/pass-through.md). */
config_reader_fn config_pass_read;

#endif
