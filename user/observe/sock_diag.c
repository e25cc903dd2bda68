// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sock_diag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tls.h>
#include <stdlib.h>
#include <string.h>

/* Newer than the kernel headers of some distributions that we build on. */
#ifndef TLS_CONF_HW_RECORD
#define TLS_CONF_HW_RECORD 4
#endif

/* Enumerators, so not to be seen by #ifdef: these two came with 6.0 (include/uapi/linux/tls.h). */
#define INFO_ZC_RO_TX  5
#define INFO_RX_NO_PAD 6
#define INFO_MAX       INFO_RX_NO_PAD

/* Socket states that have no connection behind them (include/net/tcp_states.h). */
#define STATE_TIME_WAIT 6
#define STATE_LISTEN    10

#define ANSWER_MAX 8192 /* bytes; one socket's attributes are some hundred */

struct sock_diag {
	struct mnl_socket *netlink;
	unsigned int portid;
	unsigned int seq;
};

int sock_diag_open(struct sock_diag **out)
{
	struct sock_diag *diag = calloc(1, sizeof(*diag));
	int err;

	if (!diag)
		return -ENOMEM;
	diag->netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!diag->netlink || mnl_socket_bind(diag->netlink, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		sock_diag_close(diag);
		return err;
	}
	diag->portid = mnl_socket_get_portid(diag->netlink);
	*out = diag;
	return 0;
}

void sock_diag_close(struct sock_diag *diag)
{
	if (!diag)
		return;
	if (diag->netlink)
		mnl_socket_close(diag->netlink);
	free(diag);
}

static bool is_v4(const union conn_address *address)
{
	return address->sa.sa_family == AF_INET ||
	       (address->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr));
}

/* One end as the kernel wants it: big-endian words, IPv4 in the first. */
static __be16 fill_end(const union conn_address *address, __be32 words[4])
{
	if (address->sa.sa_family == AF_INET) {
		words[0] = address->in.sin_addr.s_addr;
		return address->in.sin_port;
	}
	if (is_v4(address))
		memcpy(words, &address->in6.sin6_addr.s6_addr[12], 4);
	else
		memcpy(words, &address->in6.sin6_addr, 16);
	return address->in6.sin6_port;
}

static int fill_request(struct inet_diag_req_v2 *req, const union conn_address *local,
			const union conn_address *remote)
{
	bool v4 = is_v4(local);

	if (v4 != is_v4(remote) ||
	    (!v4 && (local->sa.sa_family != AF_INET6 || remote->sa.sa_family != AF_INET6)))
		return -EAFNOSUPPORT;
	/* A v4-mapped socket sits in the same table, under its IPv4 addresses. */
	req->sdiag_family = v4 ? AF_INET : AF_INET6;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	req->idiag_states = ~0U;
	req->id.idiag_sport = fill_end(local, req->id.idiag_src);
	req->id.idiag_dport = fill_end(remote, req->id.idiag_dst);
	req->id.idiag_if = v4 ? 0 : local->in6.sin6_scope_id;
	req->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return 0;
}

static int send_request(struct sock_diag *diag, const struct inet_diag_req_v2 *req)
{
	_Alignas(struct nlmsghdr) char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(*req))];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);

	msg->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	msg->nlmsg_flags = NLM_F_REQUEST;
	msg->nlmsg_seq = ++diag->seq;
	memcpy(mnl_nlmsg_put_extra_header(msg, sizeof(*req)), req, sizeof(*req));
	return mnl_socket_sendto(diag->netlink, msg, msg->nlmsg_len) < 0 ? -errno : 0;
}

/* Attributes are found by number in a table; what is newer or of the wrong size is left out. */
struct attr_table {
	const struct nlattr **attrs;
	uint16_t max;
};

static int collect_attr(const struct nlattr *attr, void *data)
{
	const struct attr_table *table = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type <= table->max)
		table->attrs[type] = attr;
	return MNL_CB_OK;
}

static uint16_t attr_u16(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= 2 ? mnl_attr_get_u16(attr) : 0;
}

static uint64_t attr_u64(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= 8 ? mnl_attr_get_u64(attr) : 0;
}

static void read_tls(const struct nlattr *nest, struct sock_diag_info *out)
{
	const struct nlattr *attrs[INFO_MAX + 1] = {NULL};
	struct attr_table table = {.attrs = attrs, .max = INFO_MAX};

	mnl_attr_parse_nested(nest, collect_attr, &table);
	out->tls_version = attr_u16(attrs[TLS_INFO_VERSION]);
	out->tls_cipher = attr_u16(attrs[TLS_INFO_CIPHER]);
	out->tls_txconf = attr_u16(attrs[TLS_INFO_TXCONF]);
	out->tls_rxconf = attr_u16(attrs[TLS_INFO_RXCONF]);
	out->tls_tx_zerocopy = attrs[INFO_ZC_RO_TX];
	out->tls_rx_no_pad = attrs[INFO_RX_NO_PAD];
}

static void read_ulp(const struct nlattr *nest, struct sock_diag_info *out)
{
	const struct nlattr *attrs[INET_ULP_INFO_MAX + 1] = {NULL};
	struct attr_table table = {.attrs = attrs, .max = INET_ULP_INFO_MAX};
	const struct nlattr *name;

	mnl_attr_parse_nested(nest, collect_attr, &table);
	name = attrs[INET_ULP_INFO_NAME];
	if (name) {
		size_t len = mnl_attr_get_payload_len(name);

		if (len >= sizeof(out->ulp))
			len = sizeof(out->ulp) - 1;
		memcpy(out->ulp, mnl_attr_get_payload(name), len);
		out->has_ulp = true;
	}
	if (attrs[INET_ULP_INFO_TLS])
		read_tls(attrs[INET_ULP_INFO_TLS], out);
}

static void read_tcp(const struct nlattr *attr, struct sock_diag_info *out)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len > sizeof(out->tcp))
		len = sizeof(out->tcp);
	memcpy(&out->tcp, mnl_attr_get_payload(attr), len);
}

static int read_answer(const struct nlmsghdr *msg, void *data)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attrs[INET_DIAG_MAX + 1] = {NULL};
	struct attr_table table = {.attrs = attrs, .max = INET_DIAG_MAX};
	struct sock_diag_info *out = data;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*diag)) {
		errno = EPROTO;
		return MNL_CB_ERROR;
	}
	/* The kernel falls back to a listener on the local address when there is no connection. */
	if (diag->idiag_state == STATE_LISTEN || diag->idiag_state == STATE_TIME_WAIT)
		return MNL_CB_STOP;
	out->found = true;
	out->cookie = diag->id.idiag_cookie[0] | (uint64_t)diag->id.idiag_cookie[1] << 32;
	out->inode = diag->idiag_inode;
	out->uid = diag->idiag_uid;
	mnl_attr_parse(msg, sizeof(*diag), collect_attr, &table);
	out->cgroup = attr_u64(attrs[INET_DIAG_CGROUP_ID]);
	if (attrs[INET_DIAG_INFO])
		read_tcp(attrs[INET_DIAG_INFO], out);
	if (attrs[INET_DIAG_ULP_INFO])
		read_ulp(attrs[INET_DIAG_ULP_INFO], out);
	return MNL_CB_STOP;
}

/* Wait for the answer; the kernel has queued it when sendto returns. */
static int receive_answer(struct sock_diag *diag, struct sock_diag_info *out)
{
	_Alignas(struct nlmsghdr) char buf[ANSWER_MAX];
	ssize_t len;

	do {
		len = mnl_socket_recvfrom(diag->netlink, buf, sizeof(buf));
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (mnl_cb_run(buf, (size_t)len, diag->seq, diag->portid, read_answer, out) >= 0)
		return 0;
	return errno == ENOENT ? 0 : -errno;
}

int sock_diag_query(struct sock_diag *diag, const union conn_address *local,
		    const union conn_address *remote, struct sock_diag_info *out)
{
	struct inet_diag_req_v2 req = {0};
	int err = fill_request(&req, local, remote);

	memset(out, 0, sizeof(*out));
	if (!err)
		err = send_request(diag, &req);
	return err ? err : receive_answer(diag, out);
}

const char *sock_diag_tls_conf_name(int conf)
{
	switch (conf) {
	case 0: return "none";
	case TLS_CONF_BASE: return "base";
	case TLS_CONF_SW: return "sw";
	case TLS_CONF_HW: return "hw";
	case TLS_CONF_HW_RECORD: return "hw-record";
	default: return "unknown";
	}
}

const char *sock_diag_tls_cipher_name(uint16_t cipher)
{
	switch (cipher) {
	case 0: return "none";
	case TLS_CIPHER_AES_GCM_128: return "AES-GCM-128";
	case TLS_CIPHER_AES_GCM_256: return "AES-GCM-256";
	case TLS_CIPHER_AES_CCM_128: return "AES-CCM-128";
	case TLS_CIPHER_CHACHA20_POLY1305: return "CHACHA20-POLY1305";
	case TLS_CIPHER_SM4_GCM: return "SM4-GCM";
	case TLS_CIPHER_SM4_CCM: return "SM4-CCM";
	case TLS_CIPHER_ARIA_GCM_128: return "ARIA-GCM-128";
	case TLS_CIPHER_ARIA_GCM_256: return "ARIA-GCM-256";
	default: return "unknown";
	}
}
