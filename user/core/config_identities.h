/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_IDENTITIES_H
#define KSPLIT_CORE_CONFIG_IDENTITIES_H

#include "core/config_reader.h"

/* Read "identities" over those that there are. */
config_reader_fn config_identities_read;

/* Free what the identities of a config own. */
void config_identities_free(struct config *config);

#endif
