/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_STATUS_CERTS_H
#define KSPLIT_CORE_STATUS_CERTS_H

#include "export/control.h"

/*
 * For struct control_source: `ctx` is the struct server. The CA, the services' identities, then
 * forged leaves, the last used first.
 */
int status_read_certs(void *ctx, struct control_certs *out);

/* For struct metrics_source: the same without forged leaves, which come and go. */
int status_read_own_certs(void *ctx, struct control_certs *out);

#endif
