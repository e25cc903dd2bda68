/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_STREAM_WATCH_H
#define KSPLIT_OBSERVE_STREAM_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/sampler.h"

/*
 * sk_msg beside kernel TLS is not shown everything: after a record that the socket had no room for,
 * the next one goes by without the program (net/tls/tls_sw.c, bpf_exec_tx_verdict: the verdict is
 * taken anew only after a push that went well). A whole response can be in such a record, so the
 * relay keeps watch: what is no body goes in pieces of a record, and after each the program's byte
 * count is compared. Bodies go unwatched: what was missed of one is added up for the program before
 * its end. While the socket keeps being full, a piece is led by a record of one byte: that is the
 * one to be missed, and the program is told of it.
 */
struct stream_watch {
	struct sampler *sampler; /* not owned; NULL: no watch is kept */
	int fd;			 /* not owned */
	uint64_t at;		 /* bytes that the socket has taken */
	uint64_t body;		 /* of the next ones, so many are body for certain */
	uint64_t missed;	 /* bytes that the program was not shown */
	unsigned int wary;	 /* pieces that are still to be led */
	bool leading, led;	 /* the piece that is being sent, the last one, is a lead */
	bool behind;		 /* body went by since the program's count was looked at */
};

/* What the program thinks of the stream is right, or was put right. */
enum stream_watch_result { STREAM_WATCH_RIGHT, STREAM_WATCH_WRONG };

/*
 * How many of the next `len` bytes (not 0) are to be sent in one call; puts the program right
 * first. 0: that is not possible, the stream is lost.
 */
size_t stream_watch_piece(struct stream_watch *watch, size_t len);

/*
 * The socket took `len` bytes (not 0), the first of which was `first`. WRONG: the stream is lost.
 */
enum stream_watch_result stream_watch_sent(struct stream_watch *watch, uint8_t first, size_t len);

/* The socket is full. */
void stream_watch_full(struct stream_watch *watch);

/* Read the program's state, put right where body was missed. */
enum stream_watch_result stream_watch_read(struct stream_watch *watch,
					   struct ksplit_stream_state *state);

#endif
