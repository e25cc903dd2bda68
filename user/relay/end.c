// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay/end.h"
#include "tls/protocol.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* RFC 8446 5.5: 2^24.5 full-size records with one AES-GCM key. */
#define GCM_RECORD_LIMIT 23726566

void relay_end_init(struct relay_end *end, const struct relay_end_options *options)
{
	bool raw = !options->session;

	*end = (struct relay_end){
		.rx = raw			? &relay_rx_raw
		      : options->rx_kernel	? &relay_rx_kernel
						: &relay_rx_user,
		.tx = raw			? &relay_tx_raw
		      : options->tx_kernel	? &relay_tx_kernel
						: &relay_tx_user,
		.fd = options->fd,
		.session = options->session,
		.out = options->out,
		.support = options->support,
		.stats = options->stats,
		.version = options->version,
		.aead = tls_aead_by_suite(options->suite),
		.is_client_side = options->is_client_side,
		.record_bytes = options->record_bytes ? options->record_bytes
						      : TLS_RECORD_PLAINTEXT,
	};
	/* TLS 1.2 has no way to replace a key; RFC 5246 leaves its life to the application. */
	if (end->version == VERSION_TLS13 &&
	    (end->aead == TLS_AEAD_AES128_GCM || end->aead == TLS_AEAD_AES256_GCM))
		end->record_limit =
			options->record_limit ? options->record_limit : GCM_RECORD_LIMIT;
}

enum end_event relay_end_read(struct relay_end *end, void *buf, size_t size, size_t *len,
			      uint8_t alert[2])
{
	return end->rx->read(end, buf, size, len, alert);
}

enum end_event relay_end_drain(struct relay_end *end, void *buf, size_t size)
{
	uint8_t type;

	for (int i = 0; i < 64; i++) {
		ssize_t n;

		if (end->rx == &relay_rx_kernel) {
			n = ktls_recv_record(end->fd, buf, size, &type);
			/*
			 * Whatever follows a close_notify is void (RFC 8446 6.1), broken records
			 * too.
			 */
			end->swallowed += n > 0 || type;
			if (n == 0 && type)
				continue;
			if (n == -EBADMSG || n == -EINVAL || n == -EMSGSIZE || n == -EKEYEXPIRED)
				return END_FIN;
		} else {
			n = recv(end->fd, buf, size, MSG_DONTWAIT);
			n = n < 0 ? -errno : n;
		}
		if (n == 0)
			return END_FIN;
		if (n == -EAGAIN)
			return END_AGAIN;
		if (n < 0 && n != -EINTR)
			return END_RESET;
	}
	return END_DATA;
}

enum end_event relay_end_await_fin(struct relay_end *end)
{
	struct pollfd poll_fd = {.fd = end->fd, .events = POLLRDHUP};
	socklen_t len = sizeof(int);
	int error = 0;

	if (poll(&poll_fd, 1, 0) <= 0)
		return END_AGAIN;
	if (poll_fd.revents & (POLLRDHUP | POLLHUP))
		return END_FIN;
	/* Kernel TLS keeps telling of the record that it could not open. */
	if (getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &error, &len) || (error && error != EBADMSG))
		return END_FIN;
	return END_AGAIN;
}

bool relay_end_mid_message(const struct relay_end *end)
{
	return end->mid_message && end->tx == &relay_tx_user;
}

bool relay_end_has_pending(const struct relay_end *end)
{
	return end->rx->has_pending(end);
}

int relay_end_write(struct relay_end *end, const void *buf, size_t len)
{
	int err = end->tx->write(end, buf, len);

	if (err)
		end->write_errno = -err;
	else if (!out_buffer_empty(end->out))
		end->backed_up = true;
	return err;
}

int relay_end_send(struct relay_end *end, const void *buf, size_t len)
{
	ssize_t n = 0;

	if (out_buffer_empty(end->out)) {
		do {
			n = send(end->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return -errno;
		n = n < 0 ? 0 : n;
	}
	if ((size_t)n == len)
		return 0;
	return out_buffer_append(end->out, (const uint8_t *)buf + n, len - (size_t)n);
}

int relay_end_flush(struct relay_end *end)
{
	int err = end->tx->renew_key(end);

	if (!err && !out_buffer_empty(end->out))
		err = out_buffer_send(end->out, end->fd);
	if (err == -EAGAIN)
		end->backed_up = true;
	else if (err && err != -EKEYEXPIRED)
		end->write_errno = -err;
	return err;
}

void relay_end_count_spliced(struct relay_end *end, size_t len)
{
	end->tx_records += len / end->record_bytes + 1;
}

int relay_end_send_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	return end->tx->send_alert(end, level, description);
}

static bool writable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT);
}

/*
 * After a reset there is nobody to acknowledge what was sent, and the count of it stays as it was.
 */
static bool is_reset(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) && info.tcpi_state == TCP_CLOSE;
}

/*
 * net/tls/tls_sw.c keeps records that tcp_sendmsg had no room for and goes on with them from a work
 * item when the socket has room again; a FIN in between would cut them off. There is no question
 * that the kernel answers for this, so: not backed up as long as the socket is writable, and
 * afterwards only when TCP has had every byte acknowledged at two looks in a row, between which the
 * work item has had its time.
 */
bool relay_end_settled(struct relay_end *end)
{
	int unacked = 0;

	if (end->tx != &relay_tx_kernel)
		return out_buffer_empty(end->out);
	if (!end->backed_up && writable(end->fd))
		return true;
	if (ioctl(end->fd, SIOCOUTQ, &unacked) || unacked > 0) {
		if (is_reset(end->fd))
			return true;
		end->backed_up = true;
		return false;
	}
	if (end->backed_up) {
		end->backed_up = false; /* one more look */
		return false;
	}
	return true;
}
