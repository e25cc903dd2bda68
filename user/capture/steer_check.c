// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/steer_check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "capture/address.h"
#include "capture/steer_lists.h"
#include "capture/steer_targets.h"
#include "ksplit.skel.h"
#include "observe/cgroup.h"

#define PORT	     1 /* that the child calls; nobody listens there (tcpmux) */
#define CHILD_SECONDS 20
#define ACCEPT_MS    5000

/* The cgroup of the test: this and our number. */
#define CGROUP_PREFIX "ksplit-check-"

/* 127.255.255.254, and mapped; of IPv6 loopback has but one. */
#define HOST4 0x7ffffffeU

/* --- who we are --- */

static int call_for_lesson(struct ksplit_bpf *skel, int fd)
{
	struct ksplit_steer_settings settings = {0};
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9)};
	socklen_t len = sizeof(settings.learn_cookie);
	struct bpf_link *link;
	int cgroup, err;

	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &settings.learn_cookie, &len))
		return -errno;
	err = steer_set(skel, &settings);
	if (err)
		return err;
	cgroup = cgroup_open_own();
	if (cgroup < 0)
		return cgroup;
	link = bpf_program__attach_cgroup(skel->progs.steer_connect4, cgroup);
	err = link ? 0 : -errno;
	if (!err && connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)))
		err = -errno;
	bpf_link__destroy(link);
	close(cgroup);
	return err;
}

int steer_check_learn(struct ksplit_bpf *skel, char *why, size_t why_len)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* UDP sends nothing to connect */
	struct ksplit_steer_settings off = {0};
	struct ksplit_steer_self self = {0};
	__u32 only = 0;
	int err = fd < 0 ? -errno : call_for_lesson(skel, fd);

	if (fd >= 0)
		close(fd);
	steer_set(skel, &off);
	if (err) {
		snprintf(why, why_len, "the hook cannot be put on ksplitd's own cgroup: %s",
			 strerror(-err));
		return err;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.steer_self), &only, &self) ||
	    !self.learned) {
		snprintf(why, why_len,
			 "the hook on ksplitd's own cgroup was not called (is net_cls or net_prio "
			 "of cgroup v1 in use?)");
		return -ENOTSUP;
	}
	return 0;
}

/* --- a call --- */

struct call {
	int family;	   /* of the child's socket */
	union capture_address to;  /* as the child calls it */
	union capture_address original; /* as it is told to us */
	int listener;	   /* -1: this call is not made */
};

enum { CALLS = 3 };

static int make_listener(int family, union capture_address *address)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*address);
	int err = 0;

	memset(address, 0, sizeof(*address));
	address->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		address->in6.sin6_addr = in6addr_loopback;
	if (fd < 0 || bind(fd, &address->sa, family == AF_INET ? sizeof(address->in) :
								 sizeof(address->in6)) ||
	    listen(fd, CALLS) || getsockname(fd, &address->sa, &len)) {
		err = -errno;
		if (fd >= 0)
			close(fd);
	}
	return err ? err : fd;
}

enum child_end { CHILD_GOOD, CHILD_NOT_MOVED, CHILD_NOT_CONNECTED, CHILD_NOT_TOLD };

/* In the child: system calls only, this process has threads. */
static enum child_end make_call(const struct call *call)
{
	union capture_address peer;
	socklen_t len = sizeof(peer);
	int fd = socket(call->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, &call->to.sa, capture_address_len(&call->to)))
		return CHILD_NOT_CONNECTED;
	if (getpeername(fd, &peer.sa, &len) || !capture_address_same(&peer, &call->to))
		return CHILD_NOT_TOLD;
	close(fd);
	return CHILD_GOOD;
}

static enum child_end run_child(int procs, const struct call calls[CALLS])
{
	enum child_end end = CHILD_GOOD;

	alarm(CHILD_SECONDS);
	/* A connection of the daemon's that it closes meanwhile would stay open by a copy. */
	child_close_others(procs, -1);
	if (procs >= 0 && write(procs, "0", 1) != 1)
		return CHILD_NOT_MOVED;
	for (int i = 0; i < CALLS && end == CHILD_GOOD; i++)
		if (calls[i].listener >= 0)
			end = make_call(&calls[i]);
	return end;
}

/* Does the call come in, and do we know where it was meant to go? */
static int check_arrival(struct ksplit_bpf *skel, const struct call *call)
{
	struct pollfd wait = {.fd = call->listener, .events = POLLIN};
	union capture_address client, local, original;
	struct ksplit_steer_address kept;
	socklen_t client_len = sizeof(client), local_len = sizeof(local);
	int fd, err;

	if (poll(&wait, 1, ACCEPT_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(call->listener, &client.sa, &client_len, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = getsockname(fd, &local.sa, &local_len) ? -errno : 0;
	close(fd);
	if (!err)
		err = steer_take_call(skel, &client.sa, &local.sa, &kept);
	if (err)
		return err;
	steer_unpack(&kept, &original.sa);
	return capture_address_same(&original, &call->original) ? 0 : -EBADMSG;
}

static int explain(enum child_end end, int err, char *why, size_t why_len)
{
	static const char *const ends[] = {
		[CHILD_GOOD] = NULL,
		[CHILD_NOT_MOVED] = "the caller of the test cannot enter a cgroup of its own",
		[CHILD_NOT_CONNECTED] = "a test call was not steered",
		[CHILD_NOT_TOLD] = "the caller of the test was told a wrong peer by getpeername",
	};

	if (end < sizeof(ends) / sizeof(ends[0]) && ends[end]) {
		snprintf(why, why_len, "%s", ends[end]);
		return -ENOTSUP;
	}
	if (err)
		snprintf(why, why_len, "a test call was steered, but where it was meant to go is "
				       "not known: %s", strerror(-err));
	return err;
}

static int call_from(struct ksplit_bpf *skel, int procs, const struct call calls[CALLS], char *why,
		     size_t why_len)
{
	int status = 0, err = 0;
	pid_t child = fork();

	if (child < 0) {
		snprintf(why, why_len, "no process can be made for a test: %s", strerror(errno));
		return -errno;
	}
	if (child == 0)
		_exit(run_child(procs, calls));
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status)) {
		snprintf(why, why_len, "a test call did not come to an end");
		return -ETIMEDOUT;
	}
	for (int i = 0; i < CALLS && !WEXITSTATUS(status) && !err; i++)
		if (calls[i].listener >= 0)
			err = check_arrival(skel, &calls[i]);
	return explain((enum child_end)WEXITSTATUS(status), err, why, why_len);
}

static void set_up(struct call calls[CALLS], bool ipv6, struct ksplit_steer_settings *settings,
		   int listeners[2])
{
	const __u8 mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, 255, 255, 254};
	union capture_address address;

	memset(calls, 0, CALLS * sizeof(*calls));
	memset(settings, 0, sizeof(*settings));
	settings->on = 1;
	settings->patience_ns = UINT64_MAX / 2; /* the heart does not beat yet */
	listeners[0] = make_listener(AF_INET, &address);
	if (listeners[0] >= 0)
		steer_pack_listener((const union capture_address *)&address, &settings->listener4);
	listeners[1] = ipv6 ? make_listener(AF_INET6, &address) : -1;
	if (listeners[1] >= 0)
		steer_pack_listener((const union capture_address *)&address, &settings->listener6);

	calls[0] = (struct call){.family = AF_INET, .listener = listeners[0]};
	calls[0].to.in.sin_family = AF_INET;
	calls[0].to.in.sin_port = htons(PORT);
	calls[0].to.in.sin_addr.s_addr = htonl(HOST4);
	calls[0].original = calls[0].to;
	calls[1] = (struct call){.family = AF_INET6, .listener = ipv6 ? listeners[0] : -1};
	calls[1].to.in6.sin6_family = AF_INET6;
	calls[1].to.in6.sin6_port = htons(PORT);
	memcpy(&calls[1].to.in6.sin6_addr, mapped, sizeof(mapped));
	calls[1].original = calls[0].to;
	calls[2] = (struct call){.family = AF_INET6, .listener = listeners[1]};
	calls[2].to.in6.sin6_family = AF_INET6;
	calls[2].to.in6.sin6_port = htons(PORT);
	calls[2].to.in6.sin6_addr = in6addr_loopback;
	calls[2].original = calls[2].to;
}

static void take(struct ksplit_bpf *skel, bool yes)
{
	struct capture_network net4 = {.family = AF_INET, .prefix = 32};
	struct capture_network net6 = {.family = AF_INET6, .prefix = 128};

	net4.address.in.s_addr = htonl(HOST4);
	net6.address.in6 = in6addr_loopback;
	steer_lists_take(skel, PORT, &net4, yes);
	steer_lists_take(skel, PORT, &net6, yes);
}

/* `procs`: how the child enters that cgroup; -1: it is in it. */
static int check_in(struct ksplit_bpf *skel, int cgroup, int procs, bool ipv6, char *why,
		    size_t why_len)
{
	struct bpf_link *links[STEER_LINKS];
	struct ksplit_steer_settings settings, off = {0};
	struct call calls[CALLS];
	int listeners[2], err = steer_attach(skel, cgroup, true, links);

	if (err) {
		snprintf(why, why_len, "the hook cannot be put on a cgroup: %s", strerror(-err));
		return err;
	}
	set_up(calls, ipv6, &settings, listeners);
	take(skel, true);
	err = steer_set(skel, &settings);
	if (!err)
		err = call_from(skel, procs, calls, why, why_len);
	steer_set(skel, &off);
	take(skel, false);
	steer_detach(links);
	for (int i = 0; i < 2; i++)
		if (listeners[i] >= 0)
			close(listeners[i]);
	return err;
}

/*
 * Who may make no cgroup (another user than root, a read-only mount) tries it on its own: only
 * calls to where nobody listens are taken there.
 */
static int check_in_own(struct ksplit_bpf *skel, bool ipv6, char *why, size_t why_len)
{
	int cgroup = cgroup_open_own(), err;

	if (cgroup < 0) {
		snprintf(why, why_len, "our cgroup v2 cannot be opened: %s", strerror(-cgroup));
		return cgroup;
	}
	err = check_in(skel, cgroup, -1, ipv6, why, why_len);
	close(cgroup);
	return err;
}

/* Of daemons that were killed while they tried: nobody else would ever remove them. */
static void remove_stale(const char *mount)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	DIR *dir = opendir(mount);

	while (dir && (entry = readdir(dir))) {
		int pid;

		if (sscanf(entry->d_name, CGROUP_PREFIX "%d", &pid) != 1 || pid <= 0 ||
		    kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", mount, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

int steer_check_call(struct ksplit_bpf *skel, bool ipv6, char *why, size_t why_len)
{
	char path[PATH_MAX + 64], mount[PATH_MAX];
	int err = cgroup_find_mount(mount), cgroup, procs = -1;

	if (err) {
		snprintf(why, why_len, "cgroup v2 is not mounted");
		return err;
	}
	remove_stale(mount);
	snprintf(path, sizeof(path), "%s/" CGROUP_PREFIX "%d", mount, (int)getpid());
	if (mkdir(path, 0700) && errno != EEXIST)
		return check_in_own(skel, ipv6, why, why_len);
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup >= 0)
		procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (procs >= 0) {
		err = check_in(skel, cgroup, procs, ipv6, why, why_len);
		close(procs);
	} else {
		err = -errno;
		snprintf(why, why_len, "the test's cgroup cannot be opened: %s", strerror(-err));
	}
	if (cgroup >= 0)
		close(cgroup);
	rmdir(path);
	return err;
}
