// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf_code.h"
#include "ktls.h"
#include "try.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define BTF_FILE            "/sys/kernel/btf/vmlinux"
#define PIN                 "/sys/fs/bpf/ksplit_try"
#define HELPER_NETNS_COOKIE 122 /* since 5.15 for sock_ops; older headers do not name it */
#define HELPER_LOOP         181 /* since 5.17 */

int try_bpf(struct attempt *attempt)
{
	int fd;

	libbpf_set_print(NULL);
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ksplit_try", 0, 0, 4096, NULL);
	if (fd < 0)
		return attempt_why(attempt, -errno, "ring buffer: %s", strerror(errno));
	if (access(BTF_FILE, R_OK))
		return attempt_why(attempt, -errno, BTF_FILE ": %s", strerror(errno));
	return 0;
}

/* sock_ops may ask for the network namespace's cookie, and a socket tells it too. */
int try_bpf_netns(struct attempt *attempt)
{
	const struct bpf_insn code[] = {BPF_CALL_HELPER(HELPER_NETNS_COOKIE), BPF_SET(BPF_REG_0, 1),
					BPF_LEAVE()};
	unsigned long long cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int program = bpf_code_load(BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, 0, code,
				    BPF_LENGTH(code));

	(void)attempt;
	if (program < 0 || fd < 0)
		return program < 0 ? program : -EIO;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return -errno;
	return cookie ? 0 : -EIO;
}

/* A program at the exit of inet_sendmsg counts what is sent. */
int try_bpf_fexit(struct attempt *attempt)
{
	int counter = bpf_counter_make(), program, id, rc;
	struct pair pair;

	if (counter < 0)
		return counter;
	id = libbpf_find_vmlinux_btf_id("inet_sendmsg", BPF_TRACE_FEXIT);
	if (id < 0)
		return attempt_why(attempt, id, "no BTF of inet_sendmsg");
	const struct bpf_insn code[] = {
		BPF_ZERO(BPF_REG_10, -4),
		BPF_COPY(BPF_REG_2, BPF_REG_10),
		BPF_PLUS(BPF_REG_2, -4),
		BPF_MAP(BPF_REG_1, counter),
		BPF_CALL_HELPER(BPF_FUNC_map_lookup_elem),
		BPF_IF(BPF_REG_0, 0, 2),
		BPF_SET(BPF_REG_1, 1),
		BPF_COUNT(BPF_REG_0, BPF_REG_1),
		BPF_SET(BPF_REG_0, 0),
		BPF_LEAVE(),
	};
	program = bpf_code_load(BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, (unsigned int)id, code,
				BPF_LENGTH(code));
	if (program < 0)
		return program;
	if (bpf_raw_tracepoint_open(NULL, program) < 0)
		return attempt_why(attempt, -errno, "loaded, but cannot be attached: %s",
				   strerror(errno));
	rc = pair_open(&pair);
	if (!rc)
		rc = pair_carry(pair.connected, pair.accepted, "traced");
	if (rc)
		return rc;
	return bpf_counter_read(counter) ? 0 : attempt_why(attempt, -EIO, "it sees nothing");
}

/*
 * Called with nothing that the helper takes: the verifier complains of its arguments, or that there
 * is no such helper. (A call that is right needs BTF of the program.)
 */
int try_bpf_loop(struct attempt *attempt)
{
	const struct bpf_insn code[] = {BPF_CALL_HELPER(HELPER_LOOP), BPF_SET(BPF_REG_0, 0),
					BPF_LEAVE()};
	char log[65536] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_level = 1, .log_buf = log,
		    .log_size = sizeof(log));

	libbpf_set_print(NULL);
	if (bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "ksplit_try", "GPL", code, BPF_LENGTH(code),
			  &opts) >= 0)
		return -EIO;
	if (strstr(log, "invalid func") || strstr(log, "unknown func"))
		return attempt_why(attempt, -EOPNOTSUPP, "this kernel has no such helper");
	return strstr(log, "R1") ? 0 : -errno;
}

static int sockhash_with(int fd)
{
	unsigned int key = 1, value = (unsigned int)fd;
	int map;

	libbpf_set_print(NULL);
	map = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "ksplit_try", 4, 4, 16, NULL);
	if (map < 0)
		return -errno;
	return bpf_map_update_elem(map, &key, &value, BPF_ANY) ? -errno : map;
}

/* A program that drops is obeyed on a socket in the sockhash. */
int try_bpf_sk_msg(struct attempt *attempt)
{
	const struct bpf_insn code[] = {BPF_SET(BPF_REG_0, 0), BPF_LEAVE()};
	unsigned int key = 1, value;
	struct pair pair;
	int map, program, rc = pair_open(&pair);

	if (rc)
		return rc;
	program =
		bpf_code_load(BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, 0, code, BPF_LENGTH(code));
	if (program < 0)
		return program;
	map = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "ksplit_try", 4, 4, 16, NULL);
	/* The program first: sockets take what their map has when they come. */
	value = (unsigned int)pair.connected;
	if (map < 0 || bpf_prog_attach(program, map, BPF_SK_MSG_VERDICT, 0) ||
	    bpf_map_update_elem(map, &key, &value, BPF_ANY))
		return -errno;
	rc = pair_carry(pair.accepted, pair.connected, "passes");
	if (rc)
		return rc;
	if (send(pair.connected, "dropped", 7, MSG_NOSIGNAL) < 0 && errno == EACCES)
		return 0;
	return attempt_why(attempt, -EIO, "the program is not obeyed");
}

/* Does a socket in a sockhash take the keys of kernel TLS? */
int try_bpf_sk_msg_ktls(struct attempt *attempt)
{
	struct pair pair, other;
	int map, rc = ktls_pair(&other, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);

	if (rc)
		return attempt_why(attempt, ATTEMPT_UNKNOWN, "this kernel has no kernel TLS");
	rc = pair_open(&pair);
	if (rc)
		return rc;
	map = sockhash_with(pair.connected);
	if (map < 0)
		return map;
	rc = ktls_ulp(pair.connected);
	return rc ? rc
		  : ktls_keys(pair.connected, TLS_TX, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 1);
}

/* A map is pinned and found again, in a mount namespace that nobody else sees. */
int try_bpffs(struct attempt *attempt)
{
	int map;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return attempt_why(attempt, -errno, "mount namespace: %s", strerror(errno));
	if (mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		return attempt_why(attempt, -errno, "/sys/fs/bpf: %s", strerror(errno));
	map = bpf_counter_make();
	if (map < 0)
		return map;
	if (bpf_obj_pin(map, PIN) || bpf_obj_get(PIN) < 0)
		return attempt_why(attempt, -errno, "pin: %s", strerror(errno));
	return 0;
}
