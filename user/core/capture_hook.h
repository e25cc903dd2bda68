/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURE_HOOK_H
#define KSPLIT_CORE_CAPTURE_HOOK_H

#include "capture/steer.h"

struct control_hook;
struct server;

/*
 * Capture by connect hook, if the configuration asks for it: try it and switch it on, or say in the
 * log why it stays off; then all calls go direct and the daemon works on. So do they while a worker
 * hangs. The listeners must be listening, the workers made and not yet started. server->steer stays
 * NULL without that section. 0 or
 * -ENOMEM.
 */
int capture_hook_start(struct server *server);

/* Another process steers from now on; what was steered here stays as it is. */
void capture_hook_retire(struct server *server);

/* From now on calls go direct. */
void capture_hook_stop(struct server *server);

/*
 * Any thread but the hook's: switch it on or off, and wait for that, as steer_switch and
 * steer_await. Nothing when it is not asked for.
 */
void capture_hook_switch(struct server *server, bool on, const char *by);
void capture_hook_await(struct server *server, unsigned int timeout_ms);

/* Free it, when nobody asks for it any more. */
void capture_hook_free(struct server *server);

/* Any thread: how it is; CAPTURE_NOT_CONFIGURED: it is not asked for. */
void capture_hook_read_status(const struct server *server, struct steer_status *out);

/* For the control socket; `ctx` is the server. false: it is not asked for. */
bool capture_hook_read(void *ctx, struct control_hook *out);

#endif
