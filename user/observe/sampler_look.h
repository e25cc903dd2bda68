/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_SAMPLER_LOOK_H
#define KSPLIT_OBSERVE_SAMPLER_LOOK_H

#include <stddef.h>
#include <stdint.h>

#include "observe/sampler.h"

/*
 * The second look. At the exit of a send the program reads what was sent from the sender's memory,
 * and may not wait for a page that is on its way just then (compaction, huge pages, NUMA balancing).
 * It says so in a map that the daemon has in its own memory; the daemon touches the bytes and shows
 * them once more.
 */

/* Have that map in memory, if it is loaded; without it such pieces stay unread. 0 or -errno. */
int sampler_look_open(struct sampler *sampler);
void sampler_look_close(struct sampler *sampler);

/*
 * Where the program asks for a look at what the connection's worker has sent, by ksplit_stream_key;
 * NULL: it never does. Valid as long as the sampler.
 */
const uint64_t *sampler_look_asked(const struct sampler *sampler, uint64_t conn);

/*
 * The program has asked: these are the bytes, which the socket has taken. To be called before anything
 * else is sent into it. Sends nothing.
 */
void sampler_look_again(int fd, const void *sent, size_t len);

#endif
