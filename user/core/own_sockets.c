// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/own_sockets.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* By local port, which differs for most sockets of a host. */
#define BUCKETS 1024

LIST_HEAD(own_socket_list, own_socket);

struct own_sockets {
	pthread_mutex_t lock;
	struct own_socket_list buckets[BUCKETS];
};

int own_sockets_new(struct own_sockets **out)
{
	struct own_sockets *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	pthread_mutex_init(&table->lock, NULL);
	*out = table;
	return 0;
}

void own_sockets_free(struct own_sockets *table)
{
	if (!table)
		return;
	pthread_mutex_destroy(&table->lock);
	free(table);
}

/* The port lies at the same place in both families. */
static struct own_socket_list *bucket_of(struct own_sockets *table,
					 const union conn_address *address)
{
	return &table->buckets[ntohs(address->in.sin_port) % BUCKETS];
}

void own_sockets_add(struct own_sockets *table, struct own_socket *entry, int fd)
{
	socklen_t len = sizeof(entry->address);

	own_sockets_remove(table, entry);
	if (getsockname(fd, &entry->address.sa, &len))
		return;
	pthread_mutex_lock(&table->lock);
	LIST_INSERT_HEAD(bucket_of(table, &entry->address), entry, link);
	entry->listed = true;
	pthread_mutex_unlock(&table->lock);
}

void own_sockets_remove(struct own_sockets *table, struct own_socket *entry)
{
	if (!entry->listed) /* only its own worker's thread changes that */
		return;
	pthread_mutex_lock(&table->lock);
	LIST_REMOVE(entry, link);
	entry->listed = false;
	pthread_mutex_unlock(&table->lock);
}

static bool same_address(const union conn_address *a, const union conn_address *b)
{
	if (a->sa.sa_family != b->sa.sa_family || a->in.sin_port != b->in.sin_port)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool own_sockets_has(struct own_sockets *table, const union conn_address *address)
{
	const struct own_socket *entry;
	bool found = false;

	pthread_mutex_lock(&table->lock);
	LIST_FOREACH(entry, bucket_of(table, address), link)
		found |= same_address(&entry->address, address);
	pthread_mutex_unlock(&table->lock);
	return found;
}
