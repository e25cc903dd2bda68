// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "ktls.h"
#include "try.h"

#define TCP_INFO_LEAST 104 /* up to tcpi_total_retrans, which ksplit-status prints */

#ifndef INET_DIAG_CGROUP_ID
#define INET_DIAG_CGROUP_ID 21
#endif

/* What the kernel told of a socket. */
struct answer {
	char room[16384];
	const struct nlattr *attributes[64];
};

static int keep_attribute(const struct nlattr *attribute, void *context)
{
	struct answer *answer = context;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type < sizeof(answer->attributes) / sizeof(answer->attributes[0]))
		answer->attributes[type] = attribute;
	return MNL_CB_OK;
}

static int keep_message(const struct nlmsghdr *message, void *context)
{
	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct inet_diag_msg))
		return MNL_CB_ERROR;
	mnl_attr_parse(message, sizeof(struct inet_diag_msg), keep_attribute, context);
	return MNL_CB_STOP;
}

static int fill_request(char *room, int fd)
{
	struct nlmsghdr *head = mnl_nlmsg_put_header(room);
	struct inet_diag_req_v2 *request;
	struct sockaddr_in local, remote;
	socklen_t len = sizeof(local);

	head->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	head->nlmsg_flags = NLM_F_REQUEST;
	request = mnl_nlmsg_put_extra_header(head, sizeof(*request));
	if (getsockname(fd, (struct sockaddr *)&local, &len) ||
	    getpeername(fd, (struct sockaddr *)&remote, &len))
		return -errno;
	request->sdiag_family = AF_INET;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	request->idiag_states = ~0u;
	request->id.idiag_sport = local.sin_port;
	request->id.idiag_dport = remote.sin_port;
	request->id.idiag_src[0] = local.sin_addr.s_addr;
	request->id.idiag_dst[0] = remote.sin_addr.s_addr;
	request->id.idiag_cookie[0] = request->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return 0;
}

/* Ask for one connected IPv4 socket. 0 with the answer filled, or -errno. */
static int diag_ask(int fd, struct answer *answer)
{
	const struct timeval limit = {.tv_sec = PAIR_SECONDS};
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	char room[512];
	ssize_t n;
	int rc;

	memset(answer, 0, sizeof(*answer));
	if (!netlink)
		return -errno;
	rc = fill_request(room, fd);
	if (!rc && (setsockopt(mnl_socket_get_fd(netlink), SOL_SOCKET, SO_RCVTIMEO, &limit,
			       sizeof(limit)) ||
		    mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0 ||
		    mnl_socket_sendto(netlink, room, ((struct nlmsghdr *)room)->nlmsg_len) < 0))
		rc = -errno;
	if (!rc) {
		n = mnl_socket_recvfrom(netlink, answer->room, sizeof(answer->room));
		if (n < 0 || mnl_cb_run(answer->room, (size_t)n, 0, mnl_socket_get_portid(netlink),
					keep_message, answer) < 0)
			rc = -errno;
	}
	mnl_socket_close(netlink);
	return rc;
}

/* What is told of a new connection, whose attribute `type` has at least `least` bytes. */
static int diag_ask_new(struct answer *answer, uint16_t type, size_t least)
{
	const struct nlattr *told;
	struct pair pair;
	int rc = pair_open(&pair);

	if (!rc)
		rc = diag_ask(pair.connected, answer);
	if (rc)
		return rc;
	told = answer->attributes[type];
	return told && mnl_attr_get_payload_len(told) >= least ? 0 : -ENODATA;
}

int try_sock_diag(struct attempt *attempt)
{
	struct answer answer;

	(void)attempt;
	return diag_ask_new(&answer, INET_DIAG_INFO, TCP_INFO_LEAST);
}

/* Does a nested attribute of TLS say `value`? */
static bool tls_says(const struct nlattr *tls, uint16_t type, uint16_t value)
{
	const struct nlattr *attribute;

	mnl_attr_for_each_nested(attribute, tls)
	{
		if (mnl_attr_get_type(attribute) == type)
			return mnl_attr_get_payload_len(attribute) >= sizeof(value) &&
			       mnl_attr_get_u16(attribute) == value;
	}
	return false;
}

static bool told_of_tls(const struct answer *answer, uint16_t direction)
{
	const struct nlattr *info = answer->attributes[INET_DIAG_ULP_INFO], *attribute;

	if (!info)
		return false;
	mnl_attr_for_each_nested(attribute, info)
	{
		if (mnl_attr_get_type(attribute) == INET_ULP_INFO_TLS)
			return tls_says(attribute, TLS_INFO_VERSION, TLS_1_2_VERSION) &&
			       tls_says(attribute, TLS_INFO_CIPHER, TLS_CIPHER_AES_GCM_128) &&
			       tls_says(attribute, direction, TLS_CONF_SW);
	}
	return false;
}

int try_ulp_info(struct attempt *attempt)
{
	struct answer answer;
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);

	if (!rc)
		rc = diag_ask(pair.connected, &answer);
	if (rc)
		return rc;
	if (told_of_tls(&answer, TLS_INFO_TXCONF)) {
		rc = diag_ask(pair.accepted, &answer);
		return rc || told_of_tls(&answer, TLS_INFO_RXCONF) ? rc : -ENODATA;
	}
	if (!caps_any(CAP_BIT(CAP_NET_ADMIN)))
		return attempt_why(attempt, ATTEMPT_UNKNOWN, "told to root only");
	return -ENODATA;
}

int try_diag_cgroup(struct attempt *attempt)
{
	struct answer answer;
	int rc = diag_ask_new(&answer, INET_DIAG_CGROUP_ID, sizeof(uint64_t));

	(void)attempt;
	if (!rc && mnl_attr_get_u64(answer.attributes[INET_DIAG_CGROUP_ID]) == 0)
		rc = -ENODATA;
	return rc;
}
