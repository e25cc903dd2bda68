// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes as they are: passed-through connections. */
#include <errno.h>
#include <sys/socket.h>

#include "relay/end.h"

static enum end_event raw_read(struct relay_end *end, void *buf, size_t size, size_t *len,
			       uint8_t alert[2])
{
	ssize_t n;

	(void)alert;
	do {
		n = recv(end->fd, buf, size, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*len = (size_t)n;
		return END_DATA;
	}
	if (n == 0)
		return END_FIN;
	return errno == EAGAIN || errno == EWOULDBLOCK ? END_AGAIN : END_RESET;
}

static bool raw_has_pending(const struct relay_end *end)
{
	(void)end;
	return false;
}

static int raw_send_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	(void)end;
	(void)level;
	(void)description;
	return -ENOTSUP;
}

static int raw_renew_key(struct relay_end *end)
{
	(void)end;
	return 0;
}

const struct relay_rx_ops relay_rx_raw = {.read = raw_read, .has_pending = raw_has_pending};
const struct relay_tx_ops relay_tx_raw = {
	.write = relay_end_send, .send_alert = raw_send_alert, .renew_key = raw_renew_key};
