/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_KEEP_H
#define KSPLIT_CORE_CONFIG_KEEP_H

#include <stddef.h>

#include "core/config.h"

/*
 * Some of what a configuration says is fixed once the daemon runs (threads, maps, the user). Give
 * all of these in `next` the values that they have in `now`, and write the names of those that
 * differed into `kept`, "workers, sampler"; "": none. What does not fit ends in "...". 0 or
 * -ENOMEM.
 */
int config_keep_fixed(struct config *next, const struct config *now, char *kept, size_t kept_len);

#endif
