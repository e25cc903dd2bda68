/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_HANDOVER_OFFER_H
#define KSPLIT_CORE_HANDOVER_OFFER_H

#include <stddef.h>
#include <stdint.h>

#include "tls/ticket_keys.h"

struct server;

/* What a ksplitd offers the one that takes over from it: copies of its descriptors. */
struct handover_offer {
	int *listeners; /* owned, as all descriptors here */
	size_t listeners_len;
	int metrics_fd, calls_fd; /* -1: none */
	uint32_t flags;           /* of HANDOVER_STATE */
	char tickets[TICKET_KEYS_TEXT]; /* secret: the keys of session tickets */
};

/* Nothing yet. */
#define HANDOVER_OFFER_NONE ((struct handover_offer){.metrics_fd = -1, .calls_fd = -1})

/*
 * Collect what there is, on the main thread, while nobody changes listeners. The caller gives it
 * back with handover_offer_drop in any case. 0 or -errno.
 */
int handover_offer_collect(const struct server *server, struct handover_offer *offer);

/* Send all of it. 0, also when nobody is there any more; or -errno. */
int handover_offer_send(const struct handover_offer *offer, int sock);

/* Close and free; nothing is left then. */
void handover_offer_drop(struct handover_offer *offer);

#endif
