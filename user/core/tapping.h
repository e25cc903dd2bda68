/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_TAPPING_H
#define KSPLIT_CORE_TAPPING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"
#include "observe/tap_status.h"
#include "tap/taps.h"

struct server;

/* What the configuration says of taps (docs/taps.md), done with those of a server. */

/* At start, as the user that the daemon stays. 0 or -errno with one line in `error`. */
int tapping_start(struct server *server, char *error, size_t error_len);

/*
 * For another configuration: all that can fail; taps_commit and tapping_warn, or taps_abandon,
 * follow. 0 or -errno with one line in `error`.
 */
int tapping_prepare(struct server *server, const struct config *config, struct taps_change **out,
		    char *error, size_t error_len);

/* Does it have any tap written? Then a warning in the log says which. */
void tapping_warn(const struct config *config);

/*
 * The warning: one sentence that says which taps there are. false, and "": none. 400 bytes are
 * enough.
 */
bool tapping_warning(const struct config *config, char *out, size_t out_len);

/* For the control socket (export/control.h). */
void tapping_read(void *ctx, struct tap_status out[TAP_KINDS]);
int tapping_switch(void *ctx, enum tap_kind kind, bool on, const char *by, char *error,
		   size_t error_len);

#endif
