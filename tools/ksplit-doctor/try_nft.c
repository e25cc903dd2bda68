// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int accept_in_time(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A REDIRECT rule takes a call elsewhere, and the socket knows where it was to go. */
static int redirect(struct attempt *attempt, int family)
{
	struct sockaddr_storage wanted = {0};
	socklen_t len = sizeof(wanted);
	int listener, caller, fd, rc = enter(attempt);
	char rules[256];
	bool six = family == AF_INET6;

	if (rc)
		return rc;
	listener = pair_listen(family);
	if (listener < 0)
		return listener;
	snprintf(rules, sizeof(rules),
		 "table %s ksplit_try { chain out { type nat hook output priority -100; "
		 "tcp dport %d redirect to :%d; }; }",
		 six ? "ip6" : "ip", PORT, pair_port(listener));
	rc = load(attempt, rules);
	if (rc)
		return rc;
	caller = pair_connect(family, PORT);
	fd = caller < 0 ? caller : accept_in_time(listener);
	if (fd < 0)
		return attempt_why(attempt, fd, "the rule is taken, but leads nowhere: %s",
				   strerror(-fd));
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

/* A call to PORT arrives at a transparent listener elsewhere, its address unchanged. */
int try_tproxy(struct attempt *attempt)
{
	struct sockaddr_in foreign = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(0xc0000201)}; /* RFC 5737 */
	int listener, other, caller, fd, rc = enter(attempt);
	const int on = 1;
	char rules[256];

	if (rc)
		return rc;
	listener = pair_listen(AF_INET);
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || other < 0)
		return -EIO;
	if (setsockopt(listener, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) ||
	    setsockopt(other, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) ||
	    bind(other, (struct sockaddr *)&foreign, sizeof(foreign)))
		return attempt_why(attempt, -errno, "IP_TRANSPARENT: %s", strerror(errno));
	snprintf(rules, sizeof(rules),
		 "table ip ksplit_try { chain pre { type filter hook prerouting priority -150; "
		 "tcp dport %d tproxy to 127.0.0.1:%d meta mark set 1; }; }",
		 PORT, pair_port(listener));
	rc = load(attempt, rules);
	if (rc)
		return rc;
	caller = pair_connect(AF_INET, PORT);
	fd = caller < 0 ? caller : accept_in_time(listener);
	if (fd < 0)
		return attempt_why(attempt, fd, "the rule is taken, but leads nowhere: %s",
				   strerror(-fd));
	return pair_port(fd) == PORT ? 0 : -EIO;
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
