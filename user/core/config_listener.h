/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_LISTENER_H
#define KSPLIT_CORE_CONFIG_LISTENER_H

#include "core/config_reader.h"

/* Read "listeners" over those that there are. */
config_reader_fn config_listener_read_all;

#endif
