/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_ATTACH_H
#define KSPLIT_OBSERVE_SAMPLER_ATTACH_H

#include "observe/sampler.h"

/*
 * Head programs of the sampler's object put in place and taken away again. Attaching: 0 or -errno;
 * what is in place already when it fails is for detaching. Detaching what is not attached does
 * nothing.
 */
int sampler_attach_fentry(struct sampler *sampler); /* all that this kernel has the functions of */
int sampler_attach_sk_msg(struct sampler *sampler); /* at the sockhash */
void sampler_detach_fentry(struct sampler *sampler);
void sampler_detach_sk_msg(struct sampler *sampler);

#endif
