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

/*
 * Capture by connect hook (bpf/steer.bpf.c, docs/capture-hook.md): TCP connects of chosen cgroups
 * and systemd units are led to a listener of ours on loopback. No packet is changed, no rule is set.
 * The programs hang on links that are not pinned: when this process ends, for whatever reason, so do
 * they. Calls of this process itself, and those of other network namespaces, are never steered.
 */
struct steer;

#define STEER_WHY_MAX 256

struct steer_options {
	const struct capture_part *part; /* what to take; not owned, as long as the hook */
	/* Where to: as bound, of loopback or all addresses; sa_family 0: that family goes direct. */
	union capture_address listener, listener6;
	uint32_t mark;	   /* sockets with this SO_MARK go direct; 0: none */
	uint32_t watchdog; /* ms; when the daemon was silent for so long calls go direct; 0: never */
	bool refuse_quic;  /* UDP to port 443 that would be taken if it were TCP: EPERM */
	/* Asked four times and more within `watchdog`, on a thread of the hook's: do we work? NULL: yes. */
	bool (*works)(void *ctx);
	void *ctx;
};

/*
 * Load the programs, try them (a call from a cgroup made for that, over loopback), attach them to
 * the cgroups that are there; those that come later are found within half a second. The listeners
 * must be listening. Starts a thread, so not before a fork to the background. Caller owns *out, also
 * when the hook is off: steer_why. 0, or -ENOMEM.
 */
int steer_new(const struct steer_options *options, struct steer **out);

/* From now on calls go direct; what is captured already can still be looked up. */
void steer_stop(struct steer *steer);

/* Take it all away. NULL allowed. */
void steer_free(struct steer *steer);

/* One sentence why nothing is steered; "" when it is. */
const char *steer_why(const struct steer *steer);

/*
 * Where the client of an accepted socket wanted to go, by its address and the one that it was led
 * to. Each connection's entry can be had once. `out` has room for a sockaddr_in6, v4-mapped is given
 * as IPv4. Any thread. 0 or -ENOENT: it was not steered.
 */
int steer_find(struct steer *steer, const struct sockaddr *client, const struct sockaddr *local,
	       struct sockaddr *out, socklen_t *out_len);

struct steer_status {
	uint64_t counts[KSPLIT_STEER_COUNTS];
	size_t wanted, attached; /* cgroups and units: of the configuration, and of these there */
};

/* Any thread. 0 or -errno. */
int steer_read(struct steer *steer, struct steer_status *out);

/* "steered", "exempt" ... */
const char *steer_count_name(enum ksplit_steer_count count);

#endif
