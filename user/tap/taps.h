/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAPS_H
#define KSPLIT_TAP_TAPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/tap_status.h"
#include "tap/tap_about.h"

/*
 * All taps of the daemon (docs/taps.md): keys, content of connections and packets, written to files
 * for who owns the host. Off unless told otherwise. Each tap has a thread and a bounded queue, so
 * that a disk that is slow or full costs a tap bytes, which are counted, and the relay nothing.
 */
struct taps;

/* NULL for a path: that tap is not configured. */
struct taps_options {
	const char *keylog;
	bool keylog_side[SIDES];
	const char *content; /* a pattern that content_name_check takes */
	const char *pcapng;
	uint64_t content_connection, pcapng_connection; /* bytes of each direction */
	uint64_t content_total;				/* bytes, since the tap was switched on */
	uint64_t pcapng_file;				/* bytes */
	unsigned int pcapng_files;			/* old ones that are kept */
};

/* Made without threads and files. 0 or -ENOMEM. */
int taps_new(struct taps **out);

/* When nobody uses it any more: what is queued is written first. NULL allowed. */
void taps_free(struct taps *taps);

/*
 * Other options, in two steps: open what they name, then go over to it. A tap whose options are the
 * same stays as it is, also switched off; one with other options is on. 0, or -errno with one line
 * in `error`. One change at a time.
 */
struct taps_change;
int taps_prepare(struct taps *taps, const struct taps_options *options, struct taps_change **out,
		 char *error, size_t error_len);
void taps_commit(struct taps_change *change);
void taps_abandon(struct taps_change *change); /* NULL allowed */

/*
 * Switch a tap that is configured on or off; any thread. Off is at once: nothing that comes later
 * is written. 0; -ENOENT: it is not configured; -errno: it cannot write, with one line in `error`.
 */
int taps_switch(struct taps *taps, enum tap_kind kind, bool on, char *error, size_t error_len);

/* How they are; any thread. */
void taps_read(struct taps *taps, struct tap_status out[TAP_KINDS]);

/* Workers: is any of content and pcapng on? */
bool taps_want_content(const struct taps *taps);

/* Workers: does the key log want the keys of this side? And a line of its format (no newline). */
bool taps_want_keys(const struct taps *taps, enum conn_side side);
void taps_key_line(struct taps *taps, const char *line);

/* --- tap_conn.c: one connection, as its worker has it --- */

struct tap_conn;

/* Begin; NULL: no tap is on, or no memory. */
struct tap_conn *tap_conn_new(struct taps *taps, const struct tap_about *about);

/* Its next bytes, as they are sent on: in memory, or as a copy of what is in a pipe. */
void tap_conn_data(struct tap_conn *tap, enum conn_flow flow, const void *data, size_t len);
void tap_conn_spliced(struct tap_conn *tap, enum conn_flow flow, int pipe_fd, size_t len);

/* The connection is over. NULL allowed. */
void tap_conn_end(struct tap_conn *tap);

#endif
