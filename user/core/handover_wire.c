// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/handover_wire.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/fd_message.h"

int handover_send(int sock, enum handover_type type, uint32_t flags, const char *text,
		  const int *fds, size_t fds_len, int timeout_ms)
{
	struct handover_message message = {
		.version = HANDOVER_VERSION, .type = type, .flags = flags};
	int err;

	snprintf(message.text, sizeof(message.text), "%s", text ? text : "");
	err = fd_message_send(sock, &message, sizeof(message), fds, fds_len, timeout_ms);
	OPENSSL_cleanse(message.text, sizeof(message.text)); /* STATE's is secret */
	return err;
}

static int check(struct handover_message *message, ssize_t len)
{
	if (len < (ssize_t)sizeof(message->version))
		return -EPROTO;
	if (message->version != HANDOVER_VERSION)
		return -EPROTONOSUPPORT;
	if (len != sizeof(*message) || message->type < HANDOVER_LISTENERS ||
	    message->type > HANDOVER_CANCELLED)
		return -EPROTO;
	message->text[sizeof(message->text) - 1] = '\0';
	return 0;
}

int handover_receive(int sock, struct handover_message *message, int *fds, size_t *fds_len,
		     int timeout_ms)
{
	ssize_t len = fd_message_receive(sock, message, sizeof(*message), fds, fds_len, timeout_ms);
	int err;

	if (len == 0)
		return -EPIPE;
	if (len < 0)
		return len == -EMSGSIZE ? -EPROTO : (int)len;
	err = check(message, len);
	for (size_t i = 0; err && i < *fds_len; i++)
		close(fds[i]);
	if (err)
		*fds_len = 0;
	return err;
}
