/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_STATUS_PASSES_H
#define KSPLIT_CORE_STATUS_PASSES_H

#include "export/control.h"

/* For struct control_source: `ctx` is the struct server. */
int status_read_passes(void *ctx, struct control_passes *out);

#endif
