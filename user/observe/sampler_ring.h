/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_RING_H
#define KSPLIT_OBSERVE_SAMPLER_RING_H

#include "observe/sampler.h"

/*
 * The ring buffer that head programs write into. Reading it is the public sampler_poll and its
 * neighbours (sampler.h).
 */

/*
 * Where head programs are loaded; without them there is no ring, and that is no error. 0 or -errno.
 */
int sampler_open_ring(struct sampler *sampler);
void sampler_close_ring(struct sampler *sampler);

#endif
