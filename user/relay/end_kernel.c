// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plaintext above kernel TLS, and record control: what is not data comes as control messages
 * (Documentation/networking/tls.rst) and is dealt with here.
 */
#include <errno.h>
#include <sys/socket.h>

#include "relay/end.h"
#include "tls/protocol.h"
#include "tls/ticket_feed.h"

/* Control records taken in one call: a peer that sends nothing else gets its turn, no more. */
#define CONTROL_BUDGET 64

static int push_next_keys(struct relay_end *end, enum ktls_direction direction)
{
	struct key_track *track = &end->session->track;
	struct tls_keys keys = {0};
	int err = tls13_update_secret(track->kdf, &track->secret[direction]);

	if (!err)
		err = tls13_derive_keys(track->kdf, &track->secret[direction], end->aead, &keys);
	if (!err)
		err = ktls_push_keys(end->fd, direction, &keys);
	tls_keys_wipe(&keys);
	if (!err)
		stats_add(end->stats, STAT_REKEYS, 1);
	return err;
}

/* Our own KeyUpdate, then the new key (RFC 8446 4.6.3): nothing else is sent in between. */
static int kernel_renew_key(struct relay_end *end)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 0};
	ssize_t n;

	if (!end->key_update_due) {
		if (!end->record_limit || end->tx_records < end->record_limit)
			return 0;
		stats_add(end->stats, STAT_RECORD_LIMITS, 1);
		if (!end->support->rekey)
			return -EKEYEXPIRED;
		end->key_update_due = true;
	}
	n = ktls_send_record(end->fd, TLS_CT_HANDSHAKE, key_update, sizeof(key_update));
	if (n < 0)
		return (int)n;
	end->key_update_due = false;
	end->tx_records = 0;
	return push_next_keys(end, KTLS_TX);
}

/* The peer wants our key replaced too, before our next data (RFC 8446 4.6.3) - if there is any. */
static int answer_key_update(struct relay_end *end)
{
	int err;

	if (end->tx_over)
		return 0;
	if (end->tx == &relay_tx_kernel) {
		end->key_update_due = true;
		err = kernel_renew_key(end);
		return err == -EAGAIN ? 0 : err;
	}
	/* Our direction is OpenSSL's; it knows how. */
	if (!SSL_key_update(end->session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) ||
	    SSL_do_handshake(end->session->ssl) != 1)
		return -EIO;
	return 0;
}

static enum end_event on_key_update(struct relay_end *end, bool requested)
{
	stats_add(end->stats, STAT_KEY_UPDATES, 1);
	end->session->track.key_updates++;
	if (!end->support->rekey || push_next_keys(end, KTLS_RX))
		return END_KEY_UPDATE;
	if (requested && answer_key_update(end))
		return END_RESET;
	return END_AGAIN;
}

/*
 * TLS 1.2: no. OpenSSL has no call for this warning, and a record sealed beside it would take the
 * sequence number of its next one; so where our direction is OpenSSL's, a server's wish is passed
 * over (RFC 5246 7.4.1.1), but a client waits for an answer.
 */
static enum end_event on_renegotiation(struct relay_end *end)
{
	end->session->track.renegotiation_wanted = !end->is_client_side;
	if (end->tx == &relay_tx_kernel)
		relay_end_send_alert(end, ALERT_WARNING, ALERT_NO_RENEGOTIATION);
	else if (end->is_client_side)
		return END_UNEXPECTED;
	return END_AGAIN;
}

/* END_AGAIN: consumed, read on. */
static enum end_event on_handshake(struct relay_end *end, const uint8_t *bytes, size_t len)
{
	struct handshake_news news;

	if (len == 0 || handshake_skim_feed(&end->skim, end->version, !end->is_client_side, bytes,
					    len, &news))
		return END_UNEXPECTED;
	stats_add(end->stats, STAT_TICKETS_SWALLOWED, news.tickets);
	/* Only who has offered it may be asked (RFC 8446 4.6.2). */
	if (news.certificate_request)
		return end->session->may_be_asked ? END_CERTIFICATE_ASKED : END_UNEXPECTED;
	/* A KeyUpdate is followed here, and OpenSSL would not know of it. */
	if (end->session->awaits_tickets &&
	    (news.key_update || tls_ticket_feed(end->session, bytes, len)))
		end->session->awaits_tickets = false;
	if (news.renegotiation)
		return on_renegotiation(end);
	if (news.key_update)
		return on_key_update(end, news.key_update_requested);
	return END_AGAIN;
}

static enum end_event on_alert(struct relay_end *end, const uint8_t *bytes, size_t len,
			       uint8_t alert[2])
{
	if (len != 2)
		return END_UNEXPECTED;
	end->session->track.alert_received = bytes[1];
	if (bytes[1] == ALERT_CLOSE_NOTIFY)
		return END_CLOSE_NOTIFY;
	/* In TLS 1.3 the level says nothing: all others but this one are fatal (RFC 8446 6). */
	if (bytes[1] == ALERT_USER_CANCELED ||
	    (end->version != VERSION_TLS13 && bytes[0] == ALERT_WARNING))
		return END_AGAIN;
	alert[0] = ALERT_FATAL;
	alert[1] = bytes[1];
	return END_ALERT;
}

static enum end_event on_error(ssize_t err)
{
	switch (-err) {
	case EAGAIN: return END_AGAIN;
	case EBADMSG: /* tag */
	case EINVAL:  /* header: version or type */
	case EMSGSIZE:
	case EPROTO: return END_BAD_RECORD;
	case EKEYEXPIRED: return END_KEY_UPDATE;
	default: return END_RESET;
	}
}

static enum end_event kernel_read(struct relay_end *end, void *buf, size_t size, size_t *len,
				  uint8_t alert[2])
{
	for (int i = 0; i < CONTROL_BUDGET; i++) {
		enum end_event event;
		uint8_t type;
		ssize_t n = ktls_recv_record(end->fd, buf, size, &type);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return on_error(n);
		if (n == 0 && !type)
			return END_FIN;
		if (n > 0 && (type == TLS_CT_DATA || !type)) {
			*len = (size_t)n;
			return END_DATA;
		}
		end->swallowed++;
		if (type == TLS_CT_ALERT)
			event = on_alert(end, buf, (size_t)n, alert);
		else if (type == TLS_CT_HANDSHAKE)
			event = on_handshake(end, buf, (size_t)n);
		else
			event = type == TLS_CT_DATA ? END_AGAIN : END_UNEXPECTED;
		if (event != END_AGAIN)
			return event;
	}
	return END_AGAIN;
}

static bool kernel_has_pending(const struct relay_end *end)
{
	(void)end; /* the kernel's poll tells of everything */
	return false;
}

static int kernel_write(struct relay_end *end, const void *buf, size_t len)
{
	end->tx_records += len / end->record_bytes + 1;
	return relay_end_send(end, buf, len);
}

static int kernel_send_alert(struct relay_end *end, uint8_t level, uint8_t description)
{
	const uint8_t alert[2] = {level, description};
	ssize_t n;

	n = ktls_send_record(end->fd, TLS_CT_ALERT, alert, sizeof(alert));
	if (n == -EAGAIN)
		end->backed_up = true;
	if (n < 0)
		return (int)n;
	end->session->track.alert_sent = description;
	return 0;
}

const struct relay_rx_ops relay_rx_kernel = {.read = kernel_read,
					     .has_pending = kernel_has_pending};
const struct relay_tx_ops relay_tx_kernel = {.write = kernel_write,
					     .send_alert = kernel_send_alert,
					     .renew_key = kernel_renew_key};
