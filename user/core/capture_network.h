/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURE_NETWORK_H
#define KSPLIT_CORE_CAPTURE_NETWORK_H

#include "capture/capture.h"

/*
 * "192.0.2.0/24", "2001:db8::/32", or an address for itself alone. 0, or -EINVAL and in `why` what
 * is expected. Refused are bits behind the prefix, too: the network would be another than it looks.
 */
int capture_network_parse(const char *text, struct capture_network *network, char *why,
			  size_t why_len);

/* Add it, unless it lies within one that is there; those that lie within it go. 0 or -ENOMEM. */
int capture_network_add(struct capture_networks *networks, const struct capture_network *network);

#endif
