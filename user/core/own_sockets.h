/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_OWN_SOCKETS_H
#define KSPLIT_CORE_OWN_SOCKETS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "observe/conn_info.h"

/*
 * The local addresses of our sockets towards origins. A redirect rule that does not leave ksplitd
 * itself out brings our own calls back to us, each making the next; the client's address then is
 * one of these. Shared by the workers, used only where destinations come from rules.
 */
struct own_sockets;

/* An entry; part of its connection. Zeroed: not in the table. */
struct own_socket {
	LIST_ENTRY(own_socket) link;
	union conn_address address;
	bool listed;
};

/* Make and free the table. Caller owns *out. 0 or -ENOMEM. */
int own_sockets_new(struct own_sockets **out);
void own_sockets_free(struct own_sockets *table);

/* Enter the local address that connect(2) has given `fd`; take an entry out again. Thread-safe. */
void own_sockets_add(struct own_sockets *table, struct own_socket *entry, int fd);
void own_sockets_remove(struct own_sockets *table, struct own_socket *entry);

/* Is this one of our own sockets? Thread-safe. */
bool own_sockets_has(struct own_sockets *table, const union conn_address *address);

#endif
