/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_PCAPNG_BLOCK_H
#define KSPLIT_TAP_PCAPNG_BLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng, before: draft-tuexen-opsawg-pcapng), in this
 * machine's byte order, as the format wants it. Each returns its length; `out` has room for
 * PCAPNG_BLOCK_MAX bytes.
 */
#define PCAPNG_PACKET_MAX  20000
#define PCAPNG_COMMENT_MAX 1024
#define PCAPNG_BLOCK_MAX   (PCAPNG_PACKET_MAX + PCAPNG_COMMENT_MAX + 64)

/* Section header and the one interface, of raw IP packets (LINKTYPE_RAW), time in microseconds. */
size_t pcapng_block_head(const char *application, uint8_t *out);

/* Enhanced packet; `comment` of at most PCAPNG_COMMENT_MAX bytes, "": none. */
size_t pcapng_block_packet(uint64_t time_us, const uint8_t *packet, size_t len,
			   const char *comment, uint8_t *out);

#endif
