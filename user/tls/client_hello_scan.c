// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/client_hello_scan.h"

#include <errno.h>
#include <stdbool.h>

#include "tls/client_hello.h"

#define RECORD_BODY_MAX  16384
#define RECORD_HANDSHAKE 22
#define VERSION_MAJOR    3
#define HANDSHAKE_HELLO  1

static size_t be16(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

/* How far the records of the hello have come. */
struct scan {
	size_t pos;         /* first byte of the wire not yet looked at */
	size_t in_message;  /* bytes of the handshake message so far */
	size_t message_len; /* with its header; 0: not known yet */
	uint8_t header[HANDSHAKE_HEADER_LEN];
};

/*
 * Check a record's header. 1: there and good (*body_len), 0: more bytes wanted (*need), or an
 * error. In the first record each byte is judged when it comes: another protocol's client may
 * have sent all that it will send. Later the peer is known to speak TLS.
 */
static int scan_record_header(const uint8_t *header, size_t len, bool first, size_t *body_len,
			      size_t *need)
{
	int wrong = first ? -EPROTO : -EBADMSG;

	if (len > 0 && header[0] != RECORD_HANDSHAKE)
		return wrong;
	/* The minor version is to be ignored (RFC 8446 5.1). */
	if (len > 1 && header[1] != VERSION_MAJOR)
		return wrong;
	if (len < RECORD_HEADER_LEN) {
		*need = first && len < 2 ? len + 1 : RECORD_HEADER_LEN;
		return 0;
	}
	*body_len = be16(header + 3);
	return *body_len == 0 || *body_len > RECORD_BODY_MAX ? -EBADMSG : 1;
}

/* Collect and judge what is there of the handshake message's header. */
static int scan_message_header(struct scan *scan, const uint8_t *body, size_t len)
{
	size_t len24, records;

	for (size_t i = 0; i < len && scan->in_message + i < HANDSHAKE_HEADER_LEN; i++)
		scan->header[scan->in_message + i] = body[i];
	if (scan->in_message + len > 0 && scan->header[0] != HANDSHAKE_HELLO)
		return -EBADMSG;
	if (scan->in_message + len < HANDSHAKE_HEADER_LEN)
		return 0;
	len24 = (size_t)scan->header[1] << 16 | be16(scan->header + 2);
	scan->message_len = HANDSHAKE_HEADER_LEN + len24;
	records = (scan->message_len + RECORD_BODY_MAX - 1) / RECORD_BODY_MAX;
	if (scan->message_len + records * RECORD_HEADER_LEN > CLIENT_HELLO_MAX_WIRE)
		return -EMSGSIZE;
	return 0;
}

/* The wire length at which a record cut off by the end of the bytes lets us go on. */
static size_t scan_record_need(const struct scan *scan, size_t there, size_t body_len)
{
	size_t want = body_len;

	if (scan->in_message + there == 0)
		want = 1;
	else if (!scan->message_len && HANDSHAKE_HEADER_LEN - scan->in_message < body_len)
		want = HANDSHAKE_HEADER_LEN - scan->in_message;
	return scan->pos + RECORD_HEADER_LEN + want;
}

/* Scan one record. 1: whole and good, 0: more bytes wanted, or an error. */
static int scan_record(struct scan *scan, const uint8_t *buf, size_t len, size_t *need)
{
	size_t left = len - scan->pos;
	size_t body_len, there;
	int err;

	err = scan_record_header(buf + scan->pos, left, scan->pos == 0, &body_len, need);
	if (err == 0)
		*need += scan->pos;
	if (err <= 0)
		return err;
	if (scan->pos + RECORD_HEADER_LEN + body_len > CLIENT_HELLO_MAX_WIRE)
		return -EMSGSIZE;
	there = left - RECORD_HEADER_LEN < body_len ? left - RECORD_HEADER_LEN : body_len;
	if (!scan->message_len) {
		err = scan_message_header(scan, buf + scan->pos + RECORD_HEADER_LEN, there);
		if (err)
			return err;
	}
	/* No other message may share the hello's last record: the keys change after it. */
	if (scan->message_len && scan->in_message + body_len > scan->message_len)
		return -EBADMSG;
	if (there < body_len) {
		*need = scan_record_need(scan, there, body_len);
		return 0;
	}
	scan->in_message += body_len;
	scan->pos += RECORD_HEADER_LEN + body_len;
	return 1;
}

int client_hello_scan(const uint8_t *buf, size_t len, size_t *message_len, size_t *wire_len,
		      size_t *need)
{
	struct scan scan = {0};

	while (!scan.message_len || scan.in_message < scan.message_len) {
		int err = scan_record(&scan, buf, len, need);

		if (err <= 0)
			return err;
	}
	*message_len = scan.message_len;
	*wire_len = scan.pos;
	return 1;
}
