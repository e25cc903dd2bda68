/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_LATE_EVENTS_H
#define KSPLIT_OBSERVE_LATE_EVENTS_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <ksplit/head_event.h>

/*
 * A stream's last event, when the daemon tells it in a BPF program's place (it saw the end of the
 * connection): it comes by a queue, while those before it may still be in the ring buffer. Kept
 * here until the ring was looked into. One thread.
 */
STAILQ_HEAD(late_events, late_event);

/* False: not such an event, or no memory; then it is to be taken at once. */
bool late_events_keep(struct late_events *events, const struct ksplit_head_event *event);

/* The oldest one, valid until it is dropped; NULL: none. */
const struct ksplit_head_event *late_events_first(const struct late_events *events);
void late_events_drop(struct late_events *events);

#endif
