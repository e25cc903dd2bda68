// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "bpf_code.h"
#include "cgroup_call.h"
#include "pair.h"
#include "try.h"

/* Load a program and hang it into a new cgroup. The cgroup, or -1 and in *rc what to answer. */
static int hang(struct attempt *attempt, enum bpf_prog_type type, enum bpf_attach_type attach,
		const struct bpf_insn *code, size_t len, int *rc)
{
	int program = bpf_code_load(type, attach, 0, code, len), cgroup;

	*rc = program;
	if (program < 0)
		return -1;
	cgroup = cgroup_call_prepare(attempt, rc);
	if (cgroup < 0)
		return -1;
	*rc = bpf_link_hang(program, cgroup, attach);
	return *rc ? -1 : cgroup;
}

/* A program sees the connections of its cgroup: it counts the one that is made there. */
int try_bpf_timings(struct attempt *attempt)
{
	int counter = bpf_counter_make(), listener = pair_listen(AF_INET), cgroup, rc;

	if (counter < 0 || listener < 0)
		return counter < 0 ? counter : listener;
	const struct bpf_insn code[] = {
		BPF_LOAD(BPF_REG_6, BPF_REG_1, offsetof(struct bpf_sock_ops, op)),
		BPF_ZERO(BPF_REG_10, -4),
		BPF_COPY(BPF_REG_2, BPF_REG_10),
		BPF_PLUS(BPF_REG_2, -4),
		BPF_MAP(BPF_REG_1, counter),
		BPF_CALL_HELPER(BPF_FUNC_map_lookup_elem),
		BPF_IF(BPF_REG_0, 0, 3),
		BPF_UNLESS(BPF_REG_6, BPF_SOCK_OPS_TCP_CONNECT_CB, 2),
		BPF_SET(BPF_REG_1, 1),
		BPF_COUNT(BPF_REG_0, BPF_REG_1),
		BPF_SET(BPF_REG_0, 1),
		BPF_LEAVE(),
	};
	cgroup = hang(attempt, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, code, BPF_LENGTH(code),
		      &rc);
	if (cgroup >= 0)
		rc = cgroup_call_make(cgroup, &(struct cgroup_call){.port = pair_port(listener)});
	if (rc)
		return rc;
	return bpf_counter_read(counter) == 1 ? 0 : attempt_why(attempt, -EIO, "it sees nothing");
}

/* A hook that says no is obeyed by processes of its cgroup. */
int try_bpf_processes(struct attempt *attempt)
{
	const struct bpf_insn code[] = {BPF_SET(BPF_REG_0, 0), BPF_LEAVE()};
	int listener = pair_listen(AF_INET), cgroup, rc;

	if (listener < 0)
		return listener;
	cgroup = hang(attempt, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, code,
		      BPF_LENGTH(code), &rc);
	if (cgroup < 0)
		return rc;
	rc = cgroup_call_make(cgroup, &(struct cgroup_call){.port = pair_port(listener)});
	return rc == -EPERM ? 0 : attempt_why(attempt, -EIO, "the hook is not obeyed");
}

/* if (ctx->user_port == from) ctx->user_port = to; return 1; */
static int port_changer(enum bpf_attach_type attach, uint16_t from, uint16_t to)
{
	const struct bpf_insn code[] = {
		BPF_LOAD(BPF_REG_2, BPF_REG_1, offsetof(struct bpf_sock_addr, user_port)),
		BPF_UNLESS(BPF_REG_2, htons(from), 2),
		BPF_SET(BPF_REG_3, htons(to)),
		BPF_STORE(BPF_REG_1, BPF_REG_3, offsetof(struct bpf_sock_addr, user_port)),
		BPF_SET(BPF_REG_0, 1),
		BPF_LEAVE(),
	};

	return bpf_code_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attach, 0, code, BPF_LENGTH(code));
}

/* A call is led to another port, and getpeername(2) tells the caller the one that it meant. */
int try_bpf_steer(struct attempt *attempt)
{
	int listener = pair_listen(AF_INET), closed = pair_listen(AF_INET);
	int connect, getpeer, cgroup, rc;
	struct cgroup_call call;

	if (listener < 0 || closed < 0)
		return listener < 0 ? listener : closed;
	call.port = call.expect = pair_port(closed);
	close(closed);
	connect = port_changer(BPF_CGROUP_INET4_CONNECT, call.port, pair_port(listener));
	if (connect < 0)
		return attempt_why(attempt, connect, "connect: %s", strerror(-connect));
	getpeer = port_changer(BPF_CGROUP_INET4_GETPEERNAME, pair_port(listener), call.port);
	if (getpeer < 0)
		return attempt_why(attempt, getpeer, "getpeername: %s", strerror(-getpeer));
	cgroup = cgroup_call_prepare(attempt, &rc);
	if (cgroup < 0)
		return rc;
	rc = bpf_link_hang(connect, cgroup, BPF_CGROUP_INET4_CONNECT);
	if (!rc)
		rc = bpf_link_hang(getpeer, cgroup, BPF_CGROUP_INET4_GETPEERNAME);
	return rc ? rc : cgroup_call_make(cgroup, &call);
}
