/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_KEYLOG_H
#define KSPLIT_TAP_KEYLOG_H

#include "tap/tap_item.h"
#include "tap/tap_target.h"
#include "tap/tap_told.h"

/* The writer's part of the key log: lines of the SSLKEYLOGFILE format, as OpenSSL gives them. */
struct keylog {
	struct tap_told *told;	   /* not owned */
	struct tap_target *target; /* NULL: off */
};

/* Fits struct tap_writer; `ctx` is a struct keylog. */
void keylog_handle(void *ctx, struct tap_item *item);

#endif
