// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/keeper_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define READ_PIECE 4096
#define INBOX_MAX  (sizeof(struct keeper_head) + KEEPER_WIRE_MAX + READ_PIECE)

int64_t keeper_wire_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int reserve(struct keeper_inbox *inbox, size_t more)
{
	size_t size = inbox->size ? inbox->size : READ_PIECE;
	char *bytes;

	while (size < inbox->len + more)
		size *= 2;
	if (size == inbox->size)
		return 0;
	bytes = realloc(inbox->bytes, size);
	if (!bytes)
		return -ENOMEM;
	inbox->bytes = bytes;
	inbox->size = size;
	return 0;
}

static bool read_head(const struct keeper_inbox *inbox, struct keeper_head *head)
{
	if (inbox->len < sizeof(*head))
		return false;
	memcpy(head, inbox->bytes, sizeof(*head));
	return true;
}

int keeper_wire_read(struct keeper_inbox *inbox, int fd)
{
	struct keeper_head head;

	/* Beyond a longest message the rest waits in the socket until something was taken out. */
	while (inbox->len + READ_PIECE <= INBOX_MAX) {
		int err = reserve(inbox, READ_PIECE);
		ssize_t n;

		if (err)
			return err;
		n = recv(fd, inbox->bytes + inbox->len, READ_PIECE, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n <= 0)
			return -EPIPE;
		inbox->len += (size_t)n;
		if (read_head(inbox, &head) && head.len > KEEPER_WIRE_MAX)
			return -EPROTO;
	}
	return 0;
}

bool keeper_wire_next(const struct keeper_inbox *inbox, struct keeper_head *head, const char **body)
{
	if (!read_head(inbox, head) || inbox->len - sizeof(*head) < head->len)
		return false;
	*body = inbox->bytes + sizeof(*head);
	return true;
}

void keeper_wire_drop(struct keeper_inbox *inbox)
{
	struct keeper_head head;
	size_t whole;

	if (!read_head(inbox, &head) || inbox->len - sizeof(head) < head.len)
		return;
	whole = sizeof(head) + head.len;
	inbox->len -= whole;
	memmove(inbox->bytes, inbox->bytes + whole, inbox->len);
}

void keeper_wire_free(struct keeper_inbox *inbox)
{
	free(inbox->bytes);
	*inbox = (struct keeper_inbox){0};
}

/* Until the socket takes more, or the time is up. */
static int wait_room(int fd, int64_t until_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	int64_t left = until_ms - keeper_wire_now_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	if (poll(&poll_fd, 1, (int)left) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

/* What is left of the pieces after `sent` bytes. */
static void advance(struct iovec *pieces, int count, size_t sent)
{
	for (int i = 0; i < count && sent; i++) {
		size_t take = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;

		pieces[i].iov_base = (char *)pieces[i].iov_base + take;
		pieces[i].iov_len -= take;
		sent -= take;
	}
}

int keeper_wire_send(int fd, enum keeper_message message, const void *first, size_t first_len,
		     const void *second, size_t second_len, int timeout_ms)
{
	struct keeper_head head = {.message = message, .len = (uint32_t)(first_len + second_len)};
	/* sendmsg(2) reads only: the casts take nothing but const away */
	struct iovec pieces[] = {{.iov_base = &head, .iov_len = sizeof(head)},
				 {.iov_base = (void *)(uintptr_t)first, .iov_len = first_len},
				 {.iov_base = (void *)(uintptr_t)second, .iov_len = second_len}};
	struct msghdr msg = {.msg_iov = pieces, .msg_iovlen = 3};
	size_t whole = sizeof(head) + first_len + second_len, done = 0;
	int64_t until_ms = keeper_wire_now_ms() + timeout_ms;

	if (first_len + second_len > KEEPER_WIRE_MAX)
		return -EMSGSIZE;
	while (done < whole) {
		ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		int err = 0;

		if (n >= 0) {
			done += (size_t)n;
			advance(pieces, 3, (size_t)n);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			err = wait_room(fd, until_ms);
		} else if (errno != EINTR) {
			err = -errno;
		}
		if (err)
			/* half a message cannot be taken back: the stream is of no use any more */
			return err == -ETIMEDOUT && done ? -EPIPE : err;
	}
	return 0;
}
