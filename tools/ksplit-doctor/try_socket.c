// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pair.h"
#include "try.h"

/* Does a file have a line with both words? */
static bool file_has(const char *path, const char *first, const char *second)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!file)
		return false;
	while (!found && getline(&line, &size, file) >= 0)
		found = strstr(line, first) && strstr(line, second);
	free(line);
	fclose(file);
	return found;
}

/* The attempts at kernel TLS before this one have made the kernel look for AES-GCM. */
int try_aes_fast(struct attempt *attempt)
{
#if defined(__x86_64__)
	if (!file_has("/proc/cpuinfo", "flags", " aes"))
		return attempt_why(attempt, ATTEMPT_UNKNOWN, "this CPU has no AES instructions");
	if (file_has("/proc/crypto", "driver", "gcm-aesni") ||
	    file_has("/proc/crypto", "driver", "gcm-vaes"))
		return 0;
	return attempt_why(attempt, -ENOENT, "not in /proc/crypto");
#else
	return attempt_why(attempt, ATTEMPT_UNKNOWN, "known of x86-64 only");
#endif
}

int try_epoll(struct attempt *attempt)
{
	struct epoll_event event = {.events = EPOLLIN}, seen;
	int epoll = epoll_create1(EPOLL_CLOEXEC), ends[2];

	(void)attempt;
	if (epoll < 0 || pipe2(ends, O_CLOEXEC) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) || write(ends[1], "x", 1) != 1)
		return -errno;
	return epoll_wait(epoll, &seen, 1, 1000) == 1 ? 0 : -EIO;
}

/* Two listeners on one port. */
int try_reuseport(struct attempt *attempt)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int listener = pair_listen(AF_INET), sockets[2];
	const int on = 1;

	(void)attempt;
	if (listener < 0)
		return listener;
	if (getsockname(listener, (struct sockaddr *)&address, &len))
		return -errno;
	close(listener);
	for (int i = 0; i < 2; i++) {
		sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (sockets[i] < 0 ||
		    setsockopt(sockets[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
		    bind(sockets[i], (struct sockaddr *)&address, len) || listen(sockets[i], 1))
			return -errno;
	}
	return 0;
}

/* Bytes of one connection by a pipe into another. */
int try_splice(struct attempt *attempt)
{
	struct pair in, out;
	int ends[2], rc = pair_open(&in);
	ssize_t n;

	(void)attempt;
	if (!rc)
		rc = pair_open(&out);
	if (!rc && pipe2(ends, O_CLOEXEC))
		rc = -errno;
	if (rc)
		return rc;
	if (send(in.connected, "raw", 3, MSG_NOSIGNAL) != 3)
		return -errno;
	n = splice(in.accepted, NULL, ends[1], NULL, 4096, 0);
	if (n < 0 || splice(ends[0], NULL, out.connected, NULL, (size_t)n, 0) < 0)
		return -errno;
	return pair_expect(out.accepted, "raw");
}

int try_pipe_size(struct attempt *attempt)
{
	const int wanted = 131072;
	int ends[2], size;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	size = fcntl(ends[1], F_SETPIPE_SZ, wanted);
	if (size < 0)
		return -errno;
	return size >= wanted ? 0 : attempt_why(attempt, -EIO, "only %d bytes", size);
}

int try_ipv6(struct attempt *attempt)
{
	int listener = pair_listen(AF_INET6), fd;

	(void)attempt;
	if (listener < 0)
		return listener;
	fd = pair_connect(AF_INET6, pair_port(listener));
	return fd < 0 ? fd : 0;
}
