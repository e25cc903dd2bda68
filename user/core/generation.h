/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_GENERATION_H
#define KSPLIT_CORE_GENERATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/client_identity.h"
#include "core/config.h"
#include "core/issuer.h"
#include "pki/identity_store.h"
#include "tls/context.h"
#include "tls/ticket_keys.h"

/*
 * A configuration and all that derives from it and can be replaced while the daemon runs. A
 * connection keeps the one that it was accepted under to its end. Counted by references; it does
 * not change once workers know it, but for members that have locks of their own.
 */
struct generation {
	atomic_uint references;
	STAILQ_ENTRY(generation) link; /* of those that others have taken the place of */
	uint64_t number;               /* 1: what the daemon was started with */
	struct config *config;         /* owned */
	/* As configured, but with the ports that the kernel chose for port 0. */
	struct config_listener listeners[CONFIG_MAX_LISTENERS];
	size_t listeners_len;
	struct issuer *issuer; /* a reference */
	struct tls_context *tls;
	struct ticket_keys *ticket_keys;   /* a reference: generations share them */
	struct client_identity *client_identities; /* owned; by rule of section upstream */
	struct identity_store *identities; /* NULL: no incoming calls */
};

STAILQ_HEAD(generation_list, generation);

/*
 * Make one of a checked configuration (config_new), which it takes over in any case, and of an
 * issuer, of which it takes a reference: read the trust anchors and identities, make the contexts.
 * `before` (NULL: none) is the one whose place it will take: identities whose files have not
 * changed are not read again (they may have become unreadable). The caller's reference is in *out.
 * 0, or -errno with one line in `error`.
 */
int generation_new(struct config *config, struct issuer *issuer, const struct generation *before,
		   struct generation **out, char *error, size_t error_len);

/* Any thread. */
struct generation *generation_get(struct generation *generation);

/* Any thread; but the last one frees, and may wait for a process to end. NULL allowed. */
void generation_put(struct generation *generation);

/* Is the caller's the only reference? Then it stays so. */
bool generation_is_unused(const struct generation *generation);

#endif
