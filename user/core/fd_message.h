/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_FD_MESSAGE_H
#define KSPLIT_CORE_FD_MESSAGE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Whole messages with descriptors (unix(7), SCM_RIGHTS) between processes of ksplit's own, over a
 * socket pair of type SOCK_SEQPACKET.
 */

#define FD_MESSAGE_FDS 64 /* at once, at most */

/*
 * Send a message and copies of descriptors, which stay the caller's. Waits `timeout_ms` for room.
 * 0, -ETIMEDOUT, -EPIPE (nobody is there any more), -EINVAL (too many), another -errno.
 */
int fd_message_send(int sock, const void *bytes, size_t len, const int *fds, size_t fds_len,
		    int timeout_ms);

/*
 * Receive a message of `size` bytes at most; waits `timeout_ms` for it. *fds_len is the room in
 * `fds`, then how many came; they are the caller's and close on exec. What there is no room for is
 * closed. The message's length; 0: nobody is there any more; -ETIMEDOUT, -EMSGSIZE (longer than
 * `size`, or more descriptors than there is room for), another -errno.
 */
ssize_t fd_message_receive(int sock, void *bytes, size_t size, int *fds, size_t *fds_len,
			   int timeout_ms);

#endif
