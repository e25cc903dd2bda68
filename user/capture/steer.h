/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_STEER_H
#define KSPLIT_CAPTURE_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/types.h>

#include <ksplit/steer.h>

#include "capture/capture.h"
#include "observe/capture_status.h"

/*
 * Capture by connect hook (bpf/steer.bpf.c, docs/capture-hook.md): TCP connects of chosen cgroups
 * and systemd units are led to a listener of ours on loopback. No packet is changed, no rule is
 * set. The programs hang on links that are not pinned: when this process ends, for whatever reason,
 * so do they. Calls of this process itself, and those of other network namespaces, are never
 * steered.
 */
struct steer;

struct steer_options {
	const struct capture_part *part; /* what to take; not owned, as long as the hook */
	/*
	 * Where to: as bound, of loopback or all addresses; sa_family 0: that family goes direct.
	 */
	union capture_address listener, listener6;
	uint32_t mark;	   /* sockets with this SO_MARK go direct; 0: none */
	uint32_t watchdog; /* ms; when the daemon was silent for so long calls go direct; 0: never */
	bool refuse_quic;  /* UDP to port 443 that would be taken if it were TCP: EPERM */
	/*
	 * Asked four times and more within `watchdog` on a thread of the hook's, while it is on: do
	 * we work? If not, calls go direct when `watchdog` is over, until we do again. NULL: yes.
	 */
	bool (*works)(void *ctx);
	void *ctx;
	bool idle; /* off until it is switched on */
};

/*
 * Load the programs, try them (a call from a cgroup made for that, over loopback), attach them to
 * the cgroups that are there; those that come later are found within half a second. The listeners
 * must be listening; `works` is not asked for this first time. Starts a thread, so not before a
 * fork to the background. Caller owns *out, also when the hook is off, which the log and steer_read
 * tell. 0, or -ENOMEM.
 */
int steer_new(const struct steer_options *options, struct steer **out);

/*
 * Any thread: on (tried as by steer_new) or off: nothing is steered then, and no program is
 * attached; what is captured already can still be looked up. Done by the hook's thread: steer_await
 * waits until it is, or `timeout_ms` have passed; what became of it is in steer_read. `by` says who
 * asks.
 */
void steer_switch(struct steer *steer, bool on, const char *by);
void steer_await(struct steer *steer, unsigned int timeout_ms);

/*
 * Where calls that a hook of another process has steered wanted to go: its steer_calls_fd, which is
 * this one's from now on. Before any thread asks steer_find.
 */
void steer_inherit(struct steer *steer, int calls_fd);

/* The map of what is captured by this one; the steer's. -1: none. */
int steer_calls_fd(const struct steer *steer);

/*
 * Off for good, since another process steers: sockets that were steered here are still told the
 * truth by getpeername.
 */
void steer_retire(struct steer *steer);

/* Off for good, whatever is asked for later; what is captured already can still be looked up. */
void steer_stop(struct steer *steer);

/* Take it all away. NULL allowed. */
void steer_free(struct steer *steer);

/*
 * Where the client of an accepted socket wanted to go, by its address and the one that it was led
 * to. Each connection's entry can be had once. `out` has room for a sockaddr_in6, v4-mapped is
 * given as IPv4. Any thread. 0 or -ENOENT: it was not steered.
 */
int steer_find(struct steer *steer, const struct sockaddr *client, const struct sockaddr *local,
	       struct sockaddr *out, socklen_t *out_len);

struct steer_status {
	struct capture_status state; /* has no keeper */
	size_t wanted, attached;     /* cgroups and units: of the configuration, and of these there */
};

/* Any thread: how it is; and what was done with calls so far, 0 or -errno. */
void steer_read(struct steer *steer, struct steer_status *out);
int steer_read_counts(struct steer *steer, uint64_t counts[KSPLIT_STEER_COUNTS]);

/* "steered", "exempt" ... */
const char *steer_count_name(enum ksplit_steer_count count);

#endif
