/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_POLICY_H
#define KSPLIT_CORE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/conn_info.h"

/*
 * Which connections are not to be intercepted: the rules of section "pass". Rules are tried in
 * order, the first that matches decides. All that one rule names must match; of the list of one
 * kind one entry is enough. Nothing is opened or asked for here.
 */

#define POLICY_MAX_RULES   1000
#define POLICY_MAX_ENTRIES 1000 /* of one list of a rule */
#define POLICY_NAME_MAX	   253	/* RFC 1035 2.3.4, as text and without the root's dot */

/* An address and how many of its first bits count; IPv4 is mapped (RFC 4291 2.5.5.2). */
struct policy_network {
	uint8_t address[16];
	uint8_t bits; /* of 128 */
};

struct policy_ports {
	uint16_t first, last;
};

/* How a process is told. */
enum policy_process_kind {
	POLICY_COMMAND, /* the name that the kernel has for it (proc(5), comm): "java" */
	POLICY_PATH,	/* of its program: "/opt/app/bin/..." */
	POLICY_CGROUP,	/* this cgroup or one below it: "system.slice/app.service", "app.service" */
};

struct policy_process {
	enum policy_process_kind kind;
	char *glob; /* owned; a cgroup's without a slash before or behind */
};

/* One rule; a list of length 0 is not asked about. Everything it points to is its own. */
struct policy_rule {
	char **sni;
	size_t sni_len;
	struct policy_network *networks;
	size_t networks_len;
	struct policy_ports *ports;
	size_t ports_len;
	char **alpn;
	size_t alpn_len;
	struct policy_process *processes;
	size_t processes_len;
	char *comment; /* NULL: none */
};

struct policy {
	struct policy_rule *rules; /* owned */
	size_t len;
};

/* A process that made a call; "" for what is not known. */
struct policy_caller {
	char command[16];
	char path[4096];
	char cgroup[4096]; /* "/system.slice/app.service" */
};

/* One call, as far as it is known before the origin is connected to. */
struct policy_call {
	const char *sni;		     /* lower case, no dot at the end; "": none */
	const union conn_address *addresses; /* where it may go, at least one */
	size_t addresses_len;
	const uint8_t *alpn; /* names as in the ClientHello (RFC 7301 3.1) */
	size_t alpn_len;
	/*
	 * Who calls? false: nobody can tell. Asked at most once, and only when everything else of a
	 * rule that names processes has matched. NULL: it is not known.
	 */
	bool (*find_caller)(void *ctx, struct policy_caller *out);
	void *ctx;
};

/* The index of the rule that the call matches, or -ENOENT. */
int policy_match(const struct policy *policy, const struct policy_call *call);

/* Does the call match this rule? A rule that names processes asks for the caller each time. */
bool policy_rule_matches(const struct policy_rule *rule, const struct policy_call *call);

/* Does any rule ask for the process? */
bool policy_names_processes(const struct policy *policy);

/*
 * Does a name match a pattern? Compared label by label, in any case. `*` as the whole first label
 * stands for one label or more, so that "*.bank.example" is every name below bank.example however
 * deep, but not bank.example itself; anywhere else `*` stands for any characters within one label,
 * none included. A pattern "*" is every name there is, but not the absence of one.
 */
bool policy_sni_matches(const char *pattern, const char *name);

/*
 * Check a pattern, and write it as it is compared: lower case, no dot at its end; `out` has
 * POLICY_NAME_MAX + 1 bytes. NULL, or what is wrong with it, to follow "expected ".
 */
const char *policy_sni_parse(const char *text, char *out);

/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.1". NULL, or what is expected instead. */
const char *policy_network_parse(const char *text, struct policy_network *out);
bool policy_network_has(const struct policy_network *network, const union conn_address *address);

/*
 * Tell the kind of a pattern for processes: what begins with a slash is a path; what has a slash
 * inside, or ends in .service, .scope or .slice is a cgroup; all else is a command. All are globs
 * (fnmatch(3)); `*` in a path or a cgroup does not match a slash. NULL with out->glob to be freed
 * by the caller, or what is expected instead.
 */
const char *policy_process_parse(const char *text, struct policy_process *out);
bool policy_process_matches(const struct policy_process *process,
			    const struct policy_caller *caller);

/* Are the rules the same, in the same order? */
bool policy_is_same(const struct policy *a, const struct policy *b);

/* Free the rules; the struct itself stays the caller's and is then empty. */
void policy_rule_free(struct policy_rule *rule);
void policy_free(struct policy *policy);

#endif
