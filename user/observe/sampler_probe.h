/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_PROBE_H
#define KSPLIT_OBSERVE_SAMPLER_PROBE_H

#include "observe/sampler.h"

/*
 * Does a sampler see what is sent into a socket? A request goes over a loopback pair of its own,
 * and its event is waited for in the ring buffer. 0: it does; -ENODATA: nothing came out; -EINVAL:
 * this kernel keeps sockmap and kernel TLS apart; another -errno: the pair cannot be set up.
 */
int sampler_probe(struct sampler *sampler, enum sampler_place place);

#endif
