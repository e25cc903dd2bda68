/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURE_HOOK_H
#define KSPLIT_CORE_CAPTURE_HOOK_H

#include "capture/steer.h"

struct control_hook;
struct server;

/*
 * Capture by connect hook, if the configuration asks for it: try it and switch it on, or say in the
 * log why it stays off; then all calls go direct and the daemon works on. The listeners must be
 * listening, the workers not yet started. server->steer stays NULL without that section. 0 or
 * -ENOMEM.
 */
int capture_hook_start(struct server *server);

/* From now on calls go direct. */
void capture_hook_stop(struct server *server);

/* For the control socket; `ctx` is the server. false: it is not asked for. */
bool capture_hook_read(void *ctx, struct control_hook *out);

#endif
