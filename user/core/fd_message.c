// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/fd_message.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/worker.h"

#define TAKEN_MS 5

union room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FD_MESSAGE_FDS * sizeof(int))];
};

static int64_t now_ms(void)
{
	return (int64_t)(worker_clock_us() / 1000);
}

static int wait_for(int sock, short events, int64_t until_ms)
{
	struct pollfd poll_fd = {.fd = sock, .events = events};
	int64_t left = until_ms - now_ms();
	int n = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	return n == 0 && now_ms() >= until_ms ? -ETIMEDOUT : 0;
}

/* There are too many descriptors on their way; some have to be taken first (unix(7)). */
static int wait_taken(int64_t until_ms)
{
	poll(NULL, 0, TAKEN_MS);
	return now_ms() >= until_ms ? -ETIMEDOUT : 0;
}

int fd_message_send(int sock, const void *bytes, size_t len, const int *fds, size_t fds_len,
		    int timeout_ms)
{
	const int64_t until_ms = now_ms() + timeout_ms;
	/* sendmsg(2) reads only: the cast takes nothing but const away */
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union room room = {0};
	int err = 0;

	if (fds_len > FD_MESSAGE_FDS)
		return -EINVAL;
	if (fds_len) {
		struct cmsghdr *head;

		message.msg_control = room.bytes;
		message.msg_controllen = CMSG_SPACE(fds_len * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fds_len * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fds_len * sizeof(int));
	}
	while (!err && sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			err = wait_for(sock, POLLOUT, until_ms);
		else if (errno == ETOOMANYREFS)
			err = wait_taken(until_ms);
		else if (errno != EINTR)
			err = errno == ECONNRESET ? -EPIPE : -errno;
	}
	return err;
}

/* false: there were more than there is room for. */
static bool take_fds(struct msghdr *message, int *fds, size_t *fds_len)
{
	const size_t room = *fds_len;
	bool all = !(message->msg_flags & MSG_CTRUNC);

	*fds_len = 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			if (*fds_len < room) {
				fds[(*fds_len)++] = fd;
			} else {
				close(fd);
				all = false;
			}
		}
	}
	return all;
}

ssize_t fd_message_receive(int sock, void *bytes, size_t size, int *fds, size_t *fds_len,
			   int timeout_ms)
{
	const int64_t until_ms = now_ms() + timeout_ms;
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	union room room;
	struct msghdr message;
	ssize_t n;

	for (;;) {
		int err = wait_for(sock, POLLIN, until_ms);

		if (err)
			return err;
		message = (struct msghdr){.msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = room.bytes,
					  .msg_controllen = sizeof(room.bytes)};
		n = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
	}
	if (take_fds(&message, fds, fds_len) && !(message.msg_flags & MSG_TRUNC))
		return n;
	for (size_t i = 0; i < *fds_len; i++)
		close(fds[i]);
	*fds_len = 0;
	return -EMSGSIZE;
}
