/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_SOCK_JSON_H
#define KSPLIT_EXPORT_SOCK_JSON_H

#include <cJSON.h>

#include "observe/sock_diag.h"

/*
 * What the kernel says of one socket: "ulp", "version", "cipher", "rxconf", "txconf", "rx_no_pad",
 * "tx_zerocopy" and "tcp". JSON null for a socket that was not found. Caller owns the result
 * (cJSON_Delete); NULL: out of memory.
 */
cJSON *sock_json(const struct sock_diag_info *info);

#endif
