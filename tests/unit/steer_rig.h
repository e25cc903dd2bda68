/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_STEER_RIG_H
#define KSPLIT_TESTS_STEER_RIG_H

/*
 * Cgroups of a test's own, callers in them, and two listeners: where they call, and where the
 * connect hook leads them. This process is "the daemon". Include after cmocka.h and bpf_rig.h.
 */

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "capture/steer.h"

#define RIG_WAIT_MS 20000

struct steer_rig {
	char mount[PATH_MAX], name[64]; /* of the cgroup, relative to the mount */
	union capture_address origin, proxy, origin6, proxy6;
	int origin_fd, proxy_fd, origin6_fd, proxy6_fd;
	char *cgroups[2];
	uint16_t ports[2];
	struct capture_part part;
	struct steer_options options;
};

static inline int steer_rig_listen(const char *host, union capture_address *address)
{
	bool v4 = strchr(host, '.') != NULL;
	socklen_t len = sizeof(*address);
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memset(address, 0, sizeof(*address));
	address->sa.sa_family = v4 ? AF_INET : AF_INET6;
	if (v4)
		assert_int_equal(inet_pton(AF_INET, host, &address->in.sin_addr), 1);
	else
		assert_int_equal(inet_pton(AF_INET6, host, &address->in6.sin6_addr), 1);
	assert_int_equal(bind(fd, &address->sa, v4 ? sizeof(address->in) : sizeof(address->in6)),
			 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, &address->sa, &len), 0);
	return fd;
}

static inline void steer_rig_make(const struct steer_rig *rig, const char *below)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s%s", rig->mount, rig->name, below);
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline void steer_rig_remove(const struct steer_rig *rig, const char *below)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s%s", rig->mount, rig->name, below);
	assert_int_equal(rmdir(path), 0);
}

/* Everything that the tests share: the origins' ports are taken for callers of the cgroup. */
static inline void steer_rig_open(struct steer_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	bpf_rig_make_cgroup();
	assert_int_equal(cgroup_find_mount(rig->mount), 0);
	snprintf(rig->name, sizeof(rig->name), "ksplit-test-%d", (int)getpid());
	steer_rig_make(rig, "");
	rig->origin_fd = steer_rig_listen("127.0.0.1", &rig->origin);
	rig->proxy_fd = steer_rig_listen("127.0.0.2", &rig->proxy);
	rig->origin6_fd = steer_rig_listen("::1", &rig->origin6);
	rig->proxy6_fd = steer_rig_listen("::1", &rig->proxy6);
	rig->cgroups[0] = rig->name;
	rig->ports[0] = ntohs(rig->origin.in.sin_port);
	rig->ports[1] = ntohs(rig->origin6.in6.sin6_port);
	rig->part.match.cgroups.list = rig->cgroups;
	rig->part.match.cgroups.len = 1;
	rig->part.match.ports.list = rig->ports;
	rig->part.match.ports.len = 2;
	rig->options = (struct steer_options){.part = &rig->part,
					      .listener = rig->proxy,
					      .listener6 = rig->proxy6,
					      .watchdog = 60000};
}

static inline void steer_rig_close(struct steer_rig *rig)
{
	close(rig->origin_fd);
	close(rig->proxy_fd);
	close(rig->origin6_fd);
	close(rig->proxy6_fd);
	steer_rig_remove(rig, "");
}

/* What a caller does before it calls; NULL: nothing. In the child. */
struct steer_caller {
	const char *cgroup; /* below the rig's: "", "/app"; NULL: stays where it is */
	int family;	    /* 0: that of the address */
	uid_t user;
	const char *device;
	bool own_netns, udp;
	uint32_t mark;
};

struct steer_seen {
	int error; /* errno of connect */
	union capture_address local, peer; /* as the caller is told */
};

static inline void steer_rig_enter(const struct steer_rig *rig, const struct steer_caller *caller)
{
	char path[2 * PATH_MAX];
	int fd;

	if (!caller->cgroup)
		return;
	snprintf(path, sizeof(path), "%s/%s%s/cgroup.procs", rig->mount, rig->name, caller->cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(2);
	close(fd);
}

static inline void steer_rig_child(const struct steer_rig *rig, const struct steer_caller *caller,
				   const union capture_address *to, int out)
{
	struct steer_seen seen = {0};
	socklen_t local_len = sizeof(seen.local), peer_len = sizeof(seen.peer);
	int fd;

	steer_rig_enter(rig, caller);
	if (caller->own_netns && unshare(CLONE_NEWNET))
		_exit(3);
	fd = socket(caller->family ? caller->family : to->sa.sa_family,
		    caller->udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (caller->mark &&
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &caller->mark, sizeof(caller->mark)))
		_exit(4);
	if (caller->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, caller->device,
					 (socklen_t)strlen(caller->device)))
		_exit(5);
	if (caller->user && setresuid(caller->user, caller->user, caller->user))
		_exit(6);
	if (connect(fd, &to->sa, to->sa.sa_family == AF_INET ? sizeof(to->in) : sizeof(to->in6)))
		seen.error = errno;
	else if (getsockname(fd, &seen.local.sa, &local_len) ||
		 getpeername(fd, &seen.peer.sa, &peer_len))
		_exit(7);
	_exit(write(out, &seen, sizeof(seen)) == sizeof(seen) ? 0 : 8);
}

/* A process that calls and ends. */
static inline struct steer_seen steer_rig_call(const struct steer_rig *rig,
					       struct steer_caller caller,
					       const union capture_address *to)
{
	struct steer_seen seen;
	int result[2];
	pid_t child;

	assert_int_equal(pipe(result), 0);
	child = fork();
	if (child == 0) {
		alarm(RIG_WAIT_MS / 1000);
		steer_rig_child(rig, &caller, to, result[1]);
	}
	bpf_rig_wait(child, 0);
	assert_int_equal(read(result[0], &seen, sizeof(seen)), sizeof(seen));
	close(result[0]);
	close(result[1]);
	return seen;
}

/* Has somebody connected to this listener? Takes the connection. */
static inline bool steer_rig_came(int listener, union capture_address *client,
				  union capture_address *local)
{
	socklen_t client_len = sizeof(*client), local_len = sizeof(*local);
	int fd = accept4(listener, &client->sa, &client_len, SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	assert_int_equal(getsockname(fd, &local->sa, &local_len), 0);
	close(fd);
	return true;
}

/* One call, where it arrived and what it was told: "steered", "direct", or why not. */
static inline const char *steer_rig_try(const struct steer_rig *rig, struct steer_caller caller)
{
	struct steer_seen seen = steer_rig_call(rig, caller, &rig->origin);
	union capture_address client, local;

	if (seen.error)
		return strerrorname_np(seen.error);
	assert_memory_equal(&seen.peer, &rig->origin, sizeof(seen.peer.in)); /* either way */
	if (steer_rig_came(rig->proxy_fd, &client, &local))
		return "steered";
	return steer_rig_came(rig->origin_fd, &client, &local) ? "direct" : "nowhere";
}

#endif
