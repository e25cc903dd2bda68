// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_call.h"
#include "nft.h"
#include "pair.h"
#include "try.h"

#ifndef SO_ORIGINAL_DST
#define SO_ORIGINAL_DST 80 /* linux/netfilter_ipv4.h */
#endif
#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80
#endif

#define PORT 4443 /* nobody's: the namespace is empty */

/* A namespace for an attempt. 0, ATTEMPT_UNKNOWN or -errno. */
static int enter(struct attempt *attempt)
{
	int rc = nft_namespace_enter();

	if (rc == -EPERM)
		return attempt_why(attempt, ATTEMPT_UNKNOWN,
				   "needs root, for a network namespace of its own");
	return rc;
}

/* Load rules. A refusal for want of privilege says nothing about the kernel. */
static int load(struct attempt *attempt, const char *rules)
{
	int rc = nft_run(rules, false, NULL, attempt->why, sizeof(attempt->why));

	if (rc == -EPERM)
		return attempt_why(attempt, ATTEMPT_UNKNOWN,
				   "rules are not allowed here, not even in a namespace");
	return rc;
}

/* Call PORT, where nobody listens: rules lead to the listener. The accepted socket in *fd. */
static int call_and_accept(struct attempt *attempt, int family, int listener, int *fd)
{
	int caller = pair_connect(family, PORT), rc = caller;

	if (caller >= 0) {
		*fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		rc = *fd < 0 ? -errno : 0;
	}
	return rc < 0 ? attempt_why(attempt, rc, "the rule is taken, but leads nowhere: %s",
				    strerror(-rc))
		      : 0;
}

/* A listener, and a rule that leads there what matches, in a namespace. The listener or -1. */
static int lead(struct attempt *attempt, int family, const char *table, const char *match,
		const char *target, int *rc)
{
	int listener = -1;
	char rules[384];

	*rc = enter(attempt);
	if (!*rc) {
		listener = pair_listen(family);
		*rc = listener < 0 ? listener : 0;
	}
	if (*rc)
		return -1;
	snprintf(rules, sizeof(rules),
		 "table %s ksplit_try { chain out { type nat hook output priority -101; "
		 "%s tcp dport %d %s:%d; }; }",
		 table, match, PORT, target, pair_port(listener));
	*rc = load(attempt, rules);
	return *rc ? -1 : listener;
}

/* A REDIRECT rule takes a call elsewhere, and the socket knows where it was to go. */
static int redirect(struct attempt *attempt, int family)
{
	struct sockaddr_storage wanted = {0};
	socklen_t len = sizeof(wanted);
	bool six = family == AF_INET6;
	int rc, fd, listener = lead(attempt, family, six ? "ip6" : "ip", "", "redirect to ", &rc);

	if (!rc)
		rc = call_and_accept(attempt, family, listener, &fd);
	if (rc)
		return rc;
	if (getsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST,
		       &wanted, &len))
		return attempt_why(attempt, -errno, "SO_ORIGINAL_DST: %s", strerror(errno));
	/* The port is at the same place in both families. */
	return ((struct sockaddr_in *)&wanted)->sin_port == htons(PORT) ? 0 : -EIO;
}

int try_redirect(struct attempt *attempt)
{
	return redirect(attempt, AF_INET);
}

int try_redirect6(struct attempt *attempt)
{
	return redirect(attempt, AF_INET6);
}

/* A call that matches is led to the listener by a table of both families, as capture's is. */
static int leads(struct attempt *attempt, const char *match, const char *target)
{
	int rc, fd, listener = lead(attempt, AF_INET, "inet", match, target, &rc);

	return rc ? rc : call_and_accept(attempt, AF_INET, listener, &fd);
}

int try_nft_inet(struct attempt *attempt)
{
	return leads(attempt, "", "redirect to ");
}

int try_nft_dnat(struct attempt *attempt)
{
	return leads(attempt, "", "dnat ip to 127.0.0.1");
}

int try_nft_fib(struct attempt *attempt)
{
	return leads(attempt, "fib daddr type local", "redirect to ");
}

/* No match for what has no socket. */
int try_nft_socket(struct attempt *attempt)
{
	return leads(attempt, "socket mark 0", "redirect to ");
}

int try_nft_ct(struct attempt *attempt)
{
	return leads(attempt, "ct state new", "redirect to ");
}

/* A call that is tracked in a zone of its own is known by that. */
int try_nft_zone(struct attempt *attempt)
{
	int rc, fd, listener = lead(attempt, AF_INET, "inet", "ct original zone 27507",
				    "redirect to ", &rc);

	if (!rc)
		rc = load(attempt, "table inet ksplit_try { chain zone { type filter hook output "
				   "priority -300; tcp dport 4443 ct original zone set 27507; }; }");
	return rc ? rc : call_and_accept(attempt, AF_INET, listener, &fd);
}

/* A call from a cgroup is led to the listener, one from outside it is not. */
int try_nft_cgroup(struct attempt *attempt)
{
	const struct cgroup_call call = {.port = PORT};
	char name[64], match[128];
	int rc, cgroup = cgroup_call_prepare(attempt, &rc);

	if (cgroup < 0)
		return rc;
	if (cgroup_name(name, sizeof(name)))
		return attempt_why(attempt, ATTEMPT_UNKNOWN,
				   "cgroup v2 is not mounted below /sys/fs/cgroup");
	snprintf(match, sizeof(match), "socket cgroupv2 level 1 \"%s\"", name);
	if (lead(attempt, AF_INET, "inet", match, "redirect to ", &rc) < 0)
		return rc;
	rc = cgroup_call_make(cgroup, &call);
	if (rc)
		return attempt_why(attempt, rc, "the rule is taken, but leads nowhere: %s",
				   strerror(-rc));
	return pair_connect(AF_INET, PORT) < 0
		       ? 0
		       : attempt_why(attempt, -EIO, "calls from elsewhere are led there, too");
}

static int transparent(struct attempt *attempt, int fd)
{
	const int on = 1;

	if (setsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)))
		return attempt_why(attempt, -errno, "IP_TRANSPARENT: %s", strerror(errno));
	return 0;
}

/* A call to PORT arrives at a transparent listener elsewhere, its address unchanged. */
int try_tproxy(struct attempt *attempt)
{
	struct sockaddr_in foreign = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(0xc0000201)}; /* RFC 5737 */
	int listener, other, fd, rc = enter(attempt);
	char rules[256];

	if (rc)
		return rc;
	listener = pair_listen(AF_INET);
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || other < 0)
		return -EIO;
	rc = transparent(attempt, listener);
	if (!rc)
		rc = transparent(attempt, other);
	if (rc)
		return rc;
	if (bind(other, (struct sockaddr *)&foreign, sizeof(foreign)))
		return attempt_why(attempt, -errno, "IP_TRANSPARENT: %s", strerror(errno));
	snprintf(rules, sizeof(rules),
		 "table ip ksplit_try { chain pre { type filter hook prerouting priority -150; "
		 "tcp dport %d tproxy to 127.0.0.1:%d meta mark set 1; }; }",
		 PORT, pair_port(listener));
	rc = load(attempt, rules);
	if (!rc)
		rc = call_and_accept(attempt, AF_INET, listener, &fd);
	if (rc)
		return rc;
	return pair_port(fd) == PORT ? 0 : -EIO;
}

/*
 * On a connection that is open, where only those of transparent sockets at an address of their own
 * are let through.
 */
int try_nft_wildcard(struct attempt *attempt)
{
	int listener, caller, accepted, rc = enter(attempt);
	char rules[384];

	if (rc)
		return rc;
	listener = pair_listen(AF_INET);
	if (listener < 0)
		return listener;
	rc = transparent(attempt, listener);
	if (rc)
		return rc;
	caller = pair_connect(AF_INET, pair_port(listener));
	accepted = caller < 0 ? caller : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (accepted < 0)
		return -errno;
	snprintf(rules, sizeof(rules),
		 "table inet ksplit_try { chain pre { type filter hook prerouting priority -150; "
		 "tcp dport %d socket transparent 1 socket wildcard 0 accept; "
		 "tcp dport %d drop; }; }",
		 pair_port(listener), pair_port(listener));
	rc = load(attempt, rules);
	if (!rc)
		rc = pair_bound_in_time(accepted);
	if (!rc)
		rc = pair_carry(caller, accepted, "known");
	return rc == -EAGAIN ? attempt_why(attempt, rc, "the rule is taken, but does not match")
			     : rc;
}

/* A datagram is refused, and its sender is told. */
int try_nft_reject(struct attempt *attempt)
{
	const struct timeval limit = {.tv_sec = PAIR_SECONDS};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int receiver, sender, rc = enter(attempt);
	char byte = 'k';

	if (!rc)
		rc = load(attempt,
			  "table inet ksplit_try { chain out { type filter hook output priority 0; "
			  "udp dport 4443 reject with icmpx type port-unreachable; }; }");
	if (rc)
		return rc;
	receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (receiver < 0 || sender < 0 || bind(receiver, (struct sockaddr *)&to, sizeof(to)) ||
	    connect(sender, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(sender, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -errno;
	/* What is dropped on its way out is told by send(2) as EPERM, the refusal behind it. */
	(void)!send(sender, &byte, 1, 0);
	if (recv(sender, &byte, 1, 0) < 0 && errno == ECONNREFUSED)
		return 0;
	return attempt_why(attempt, -EIO, "the rule is taken, but nothing is refused");
}

static bool table_is_there(void)
{
	char *tables = NULL, error[256];
	bool there = nft_run("list tables", false, &tables, error, sizeof(error)) == 0 &&
		     strstr(tables, "ksplit_try");

	free(tables);
	return there;
}

/* A table that is its owner's goes when the owner's netlink socket is closed. */
int try_nft_owner(struct attempt *attempt)
{
	struct nft_ctx *owner;
	int rc = enter(attempt);

	if (!rc)
		rc = load(attempt, "table ip ksplit_try { flags owner; }");
	if (rc)
		return rc;
	if (table_is_there())
		return attempt_why(attempt, -EOPNOTSUPP, "the table outlives its owner");
	owner = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!owner || nft_ctx_buffer_error(owner) ||
	    nft_run_cmd_from_buffer(owner, "table ip ksplit_try { flags owner; }"))
		return -EIO;
	if (!table_is_there())
		return attempt_why(attempt, -EIO, "the table is not there while its owner is");
	nft_ctx_free(owner);
	return table_is_there() ? -EIO : 0;
}
