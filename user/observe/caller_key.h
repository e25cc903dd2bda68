/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_CALLER_KEY_H
#define KSPLIT_OBSERVE_CALLER_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include <ksplit/endpoint.h>

#include "observe/conn_info.h"

/* Keys of the map "callers", as the program process_connect writes them. */

/* Cookie of our network namespace (SO_NETNS_COOKIE, Linux 5.14); 0: this kernel tells none. */
uint64_t caller_key_netns(void);

/*
 * The key of a connection between these addresses in a network namespace. v4-mapped IPv6 is IPv4.
 * false: an address is not known.
 */
bool caller_key_pack(uint64_t netns, const union conn_address *source,
		     const union conn_address *destination, struct ksplit_caller_key *key);

#endif
