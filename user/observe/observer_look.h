/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_OBSERVER_LOOK_H
#define KSPLIT_OBSERVE_OBSERVER_LOOK_H

struct observer;

/* What the records of queues and ring buffer mean. On the observer's thread alone. */

/* Take all that lies there; observer->taken tells how much that was. */
void observer_look(struct observer *observer);

/*
 * Write over what was read of the ring buffer (sampler_wipe); events that come meanwhile are taken.
 */
void observer_wipe(struct observer *observer);

#endif
