/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_STATUS_H
#define KSPLIT_CORE_STATUS_H

#include "core/server.h"
#include "export/control.h"

/*
 * What the control socket asks of the daemon, answered from a server. `server` must outlive the
 * control socket.
 */
void status_source(struct server *server, struct control_source *source);

/* The same for exporters. */
struct metrics_source;
void status_metrics_source(struct server *server, struct metrics_source *source);

#endif
