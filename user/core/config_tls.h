/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_TLS_H
#define KSPLIT_CORE_CONFIG_TLS_H

#include "core/config_reader.h"

/*
 * Read section "tls" into config.tls_client and config.tls_upstream (docs/tls-policy.md). Each list
 * is given to OpenSSL, so that a name it does not know is refused with its line.
 */
config_reader_fn config_tls_read;

/* Read one side's policy, the object itself, into a struct tls_policy. */
config_reader_fn config_tls_read_policy;

#endif
