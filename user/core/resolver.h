/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_RESOLVER_H
#define KSPLIT_CORE_RESOLVER_H

#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

/*
 * Names to addresses without blocking a worker: getaddrinfo(3), which honours nsswitch.conf, on
 * threads of its own. AI_ADDRCONFIG is not used: it fails in a namespace that has only loopback.
 */
struct resolver;

/* One question. Made by resolver_ask, freed by its answer's receiver with resolver_request_free. */
struct resolver_request {
	struct worker_post post; /* first: how the answer comes back */
	STAILQ_ENTRY(resolver_request) link;
	struct worker *worker;
	void *asker; /* worker's thread only; NULL: cancelled */
	_Atomic bool cancelled;
	/* Worker's thread; not called for a NULL asker. */
	void (*answered)(struct resolver_request *request);
	char host[256];
	char port[8];
	int error;		/* EAI_*; 0: `addresses` has at least one */
	struct addrinfo *addresses;
};

/* Make a resolver; threads come with questions. Caller owns *out. 0 or -ENOMEM. */
int resolver_new(struct resolver **out);

/*
 * End it, once the askers have gone and without a wait for questions under way: their threads end
 * by themselves and post no answer any more. NULL allowed.
 */
void resolver_free(struct resolver *resolver);

/*
 * Ask. `answered` is called on the worker's thread. *out stays valid until then. 0, -ENOMEM or
 * -EAGAIN (too many questions are waiting).
 */
int resolver_ask(struct resolver *resolver, struct worker *worker, const char *host, uint16_t port,
		 void *asker, void (*answered)(struct resolver_request *request),
		 struct resolver_request **out);

/* Worker's thread: the answer is no longer wanted; the request is not the asker's any more. */
void resolver_cancel(struct resolver_request *request);

void resolver_request_free(struct resolver_request *request);

#endif
