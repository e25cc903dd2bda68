/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_HANDOVER_CAPTURE_H
#define KSPLIT_CORE_HANDOVER_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

struct server;

/*
 * What captures leaves calls alone that bear our mark. One that takes over and marks its own calls
 * in another way, or not at all, since it captures nothing, would have them captured by what is
 * still ours: then that goes before the new one accepts, and calls go direct until it captures
 * itself. `mark`: the new one's, 0: none. Any thread but the main one. true: that was done.
 */
bool handover_capture_withdraw(struct server *server, uint32_t mark);

/* Nothing comes of it: capture again. */
void handover_capture_restore(struct server *server);

#endif
