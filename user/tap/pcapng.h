/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_PCAPNG_H
#define KSPLIT_TAP_PCAPNG_H

#include "tap/pcapng_block.h"
#include "tap/tap_about.h"
#include "tap/tap_item.h"
#include "tap/tap_target.h"
#include "tap/tap_told.h"
#include "tap/tcp_packet.h"

/*
 * The writer's part of the pcapng file: packets that carry the plaintext between the client's
 * address and the origin's, so that a reader follows and dissects them as any TCP stream. They have
 * the real addresses; the port of the origin is that of the same protocol without TLS where a
 * reader would take it for TLS or not know HTTP/2 (pcapng_shown_port), and a comment on the first
 * packet says what it really is.
 *
 * A file that has its size is renamed to PATH.1 (and that to PATH.2 ...); streams that go on are
 * introduced again in the next one. One that is there at the start is continued by another section.
 */
struct pcapng {
	struct tap_told *told;	   /* not owned */
	struct tap_target *target; /* NULL: off */
	uint64_t size;		   /* of the file */
	uint64_t number;	   /* of the file, as long as the daemon lives */
	bool has_head;
	uint8_t payload[PCAPNG_PACKET_MAX - TCP_PACKET_HEADER]; /* wiped when it was written */
	uint8_t packet[PCAPNG_PACKET_MAX];
	uint8_t block[PCAPNG_BLOCK_MAX];
};

/* A connection's stream; made by a worker, given to the writer with TAP_CLOSE. */
struct pcapng_conn;

/* NULL: no memory. */
struct pcapng_conn *pcapng_conn_new(const struct tap_about *about);

/*
 * The port that readers know the inner protocol by: 80 for HTTP/2 (Wireshark looks for its preface
 * there alone) and for 443, the plain one of SMTP, IMAP, POP3, LDAP, FTP and DNS, else the same.
 */
uint16_t pcapng_shown_port(uint16_t port, const char *alpn);

/* Fits struct tap_writer; `ctx` is a struct pcapng, objects are struct pcapng_conn. */
void pcapng_handle(void *ctx, struct tap_item *item);

#endif
