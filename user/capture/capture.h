/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_CAPTURE_H
#define KSPLIT_CAPTURE_CAPTURE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "capture/address.h"

/*
 * What shall be brought to ksplitd: the "capture" section of the configuration, parsed, checked and
 * resolved (docs/capture.md tells every key). A connection belongs to a part when each list that is
 * not empty has something that fits it, and it is left alone when anything in `exempt` fits it.
 */

#define CAPTURE_MARK     0x6b73 /* "ks" */
#define CAPTURE_WATCHDOG 3000   /* ms */
#define CAPTURE_TABLE    "ksplit"
/* By which ksplitd knows a table that an earlier one, or an administrator's hand, has left. */
#define CAPTURE_TABLE_COMMENT "loaded by ksplitd"
#define CAPTURE_ROUTES        27507 /* routing table for method tproxy, set by the administrator */

#define CAPTURE_NAMED_MAX 2 /* listeners that a part names: one for each family */

enum capture_kind {
	CAPTURE_OUTGOING,  /* this host's own calls */
	CAPTURE_INCOMING,  /* calls from elsewhere to this host's services */
	CAPTURE_FORWARDED, /* calls that pass this host, a gateway */
	CAPTURE_HOOK,      /* calls of chosen cgroups and units, by connect hook instead of rules */
	CAPTURE_KINDS,
};

enum capture_method { CAPTURE_REDIRECT, CAPTURE_TPROXY };

struct capture_network {
	sa_family_t family; /* AF_INET or AF_INET6; says which of the addresses it is */
	uint8_t prefix;     /* bits; those of the address behind it are 0 */
	union {
		struct in_addr in;
		struct in6_addr in6;
	} address;
};

struct capture_ports {
	uint16_t *list; /* host order, ascending, each once */
	size_t len;
};

struct capture_networks {
	struct capture_network *list; /* none lies within another */
	size_t len;
};

struct capture_users {
	uid_t *list; /* ascending, each once */
	size_t len;
};

/* Cgroups ("system.slice/app.service", relative to the cgroup2 mount), interfaces or units. */
struct capture_names {
	char **list;
	size_t len;
};

/* What a connection is chosen by. A list that a kind does not have is empty. */
struct capture_match {
	struct capture_ports ports;       /* all kinds: of the destination */
	struct capture_networks networks; /* all kinds: of the destination */
	struct capture_networks sources;  /* incoming, forwarded */
	struct capture_names interfaces;  /* forwarded: where packets come in */
	struct capture_users users;       /* outgoing */
	struct capture_names cgroups;     /* outgoing, hook */
	struct capture_names units;       /* hook: systemd units, "app.service" */
};

struct capture_part {
	bool given; /* is the section there? Without it nothing of this kind is captured. */
	struct capture_match match;
	struct capture_match exempt;
	enum capture_method method; /* forwarded */
	/*
	 * Where captured connections are led. Without a listener for one of the families, that
	 * family is not captured; at least one is there.
	 */
	union capture_address listener;
	union capture_address listener6;
	bool transparent; /* one of them calls services from their clients' addresses */
	/* As the file has it, until it is known which listeners there are. */
	union capture_address named[CAPTURE_NAMED_MAX];
	size_t named_len;
	size_t line;          /* of the section */
	size_t listener_line; /* of its key "listener" */
};

struct capture {
	struct capture_part parts[CAPTURE_KINDS];
	bool refuse_quic;
	uint32_t mark;     /* SO_MARK of ksplitd's own calls; never 0 */
	uint32_t watchdog; /* ms without a beat of a worker after which rules are withdrawn */
	char *table;       /* nftables table, of family inet */
	struct capture_ports own_ports; /* of all listeners */
	/*
	 * Where the cgroup2 file system is below /sys/fs/cgroup, where nft looks for cgroups: ""
	 * or, beside version 1 hierarchies, a folder with a slash behind it: "unified/".
	 */
	char *cgroup_folder;
};

/* Set defaults (nothing is captured). 0 or -ENOMEM. */
int capture_init(struct capture *capture);
/* Free what it owns; the struct itself stays the caller's. */
void capture_free(struct capture *capture);

/* Is there anything to capture: by rules, by connect hook? */
bool capture_has_rules(const struct capture *capture);
bool capture_has_hook(const struct capture *capture);

/*
 * SO_MARK (socket(7)) for sockets of ksplitd's own calls; 0: nothing is captured, they need none.
 */
uint32_t capture_own_mark(const struct capture *capture);

/* The packet mark for method tproxy: led to this host by the routing rule that docs/capture.md has.
 */
uint32_t capture_tproxy_mark(const struct capture *capture);

#endif
