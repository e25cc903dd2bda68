// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/pcapng.h"

#include <errno.h>
#include <inttypes.h>
#include <ksplit/text.h>
#include <ksplit/version.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap/private_file.h"

struct pcapng_conn {
	struct tcp_packet_end client, origin;
	uint32_t next[FLOWS]; /* sequence numbers */
	uint64_t number;      /* of the file that it is in; 0: of none yet */
	uint64_t missing[FLOWS];
	char comment[PCAPNG_COMMENT_MAX]; /* of its first packet */
};

/* Ports of TLS and of the same protocol without it (IANA's registry of services). */
static const struct {
	uint16_t tls, plain;
} ports[] = {{443, 80}, {465, 25}, {636, 389}, {853, 53}, {990, 21}, {993, 143}, {995, 110}};

uint16_t pcapng_shown_port(uint16_t port, const char *alpn)
{
	if (!strcmp(alpn, "h2"))
		return 80;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (ports[i].tls == port)
			return ports[i].plain;
	return port;
}

static struct tcp_packet_end end_of(const union conn_address *address)
{
	/* The port is at the same place in both (RFC 3493 3.3). */
	struct tcp_packet_end end = {.port = ntohs(address->in.sin_port)};

	if (address->sa.sa_family == AF_INET6) {
		end.address = address->in6.sin6_addr;
		return end;
	}
	end.address.s6_addr[10] = end.address.s6_addr[11] = 0xff;
	memcpy(end.address.s6_addr + 12, &address->in.sin_addr, 4);
	return end;
}

struct pcapng_conn *pcapng_conn_new(const struct tap_about *about)
{
	struct pcapng_conn *conn = calloc(1, sizeof(*conn));
	char sni[300], alpn[64], origin[64];

	if (!conn)
		return NULL;
	conn->client = end_of(&about->client);
	conn->origin = end_of(&about->origin);
	conn->origin.port = pcapng_shown_port(conn->origin.port, about->alpn);
	ksplit_text_escape(sni, sizeof(sni), about->sni, strlen(about->sni));
	ksplit_text_escape(alpn, sizeof(alpn), about->alpn, strlen(about->alpn));
	snprintf(conn->comment, sizeof(conn->comment),
		 "ksplit connection %" PRIu64 ": %s call to %s, SNI %s, ALPN %s, %s at the client; "
		 "decrypted, packets made up",
		 about->id, about->incoming ? "incoming" : "outgoing",
		 conn_address_print(&about->origin, origin, sizeof(origin)), sni[0] ? sni : "none",
		 alpn[0] ? alpn : "none", conn_version_name(about->version));
	return conn;
}

/* --- the file --- */

static bool add(struct pcapng *tap, size_t len)
{
	int err = private_file_add(tap->target->fd, tap->block, len);

	if (err) {
		tap_told_failure(tap->told, tap->target->path, err);
		return false;
	}
	tap->size += len;
	tap_told_count(tap->told, len, 0);
	return true;
}

static void begin_file(struct pcapng *tap)
{
	struct stat st;

	tap->size = fstat(tap->target->fd, &st) ? 0 : (uint64_t)st.st_size;
	tap->number++;
	tap->has_head = false;
	tap_told_file(tap->told);
}

static void print_old(char *out, const struct pcapng *tap, unsigned int n)
{
	if (n)
		snprintf(out, PATH_MAX, "%s.%u", tap->target->path, n);
	else
		snprintf(out, PATH_MAX, "%s", tap->target->path);
}

/* PATH becomes PATH.1, and so on; the oldest goes. */
static void rotate(struct pcapng *tap)
{
	struct tap_target *target = tap->target;
	char from[PATH_MAX], to[PATH_MAX];

	if (!target->files)
		unlink(target->path);
	for (unsigned int n = target->files; n > 0; n--) {
		print_old(from, tap, n - 1);
		print_old(to, tap, n);
		rename(from, to);
	}
	close(target->fd);
	target->fd = -1;
}

/* A file with a head and with room for another packet. */
static bool file_ready(struct pcapng *tap)
{
	struct tap_target *target = tap->target;

	if (!target)
		return false;
	if (target->fd >= 0 && tap->has_head && tap->size + PCAPNG_BLOCK_MAX > target->most)
		rotate(tap);
	if (target->fd < 0) {
		target->fd = private_file_append(target->path);
		if (target->fd < 0) {
			tap_told_failure(tap->told, target->path, target->fd);
			return false;
		}
		begin_file(tap);
	}
	if (!tap->has_head)
		tap->has_head =
			add(tap, pcapng_block_head("ksplitd " KSPLIT_VERSION, tap->block));
	return tap->has_head;
}

/* --- packets --- */

/* One from the client (FLOW_TO_ORIGIN) or from the origin. */
static bool packet(struct pcapng *tap, struct pcapng_conn *conn, enum conn_flow flow,
		   uint64_t time_us, uint8_t flags, size_t len, const char *comment)
{
	const bool up = flow == FLOW_TO_ORIGIN;
	const struct tcp_packet what = {
		.from = up ? conn->client : conn->origin,
		.to = up ? conn->origin : conn->client,
		.seq = conn->next[flow],
		.ack = flags & TCP_FLAG_ACK ? conn->next[up ? FLOW_TO_CLIENT : FLOW_TO_ORIGIN] : 0,
		.flags = flags,
		.payload = tap->payload,
		.len = len,
	};
	size_t packet_len = tcp_packet_make(&what, tap->packet);
	size_t block_len = pcapng_block_packet(time_us, tap->packet, packet_len, comment,
					       tap->block);
	bool done = add(tap, block_len);

	conn->next[flow] += (uint32_t)len + !!(flags & (TCP_FLAG_SYN | TCP_FLAG_FIN));
	explicit_bzero(tap->packet, packet_len);
	explicit_bzero(tap->block, block_len);
	return done;
}

static bool introduce(struct pcapng *tap, struct pcapng_conn *conn, uint64_t time_us)
{
	if (conn->number == tap->number)
		return true;
	memset(conn->next, 0, sizeof(conn->next));
	conn->number = tap->number;
	return packet(tap, conn, FLOW_TO_ORIGIN, time_us, TCP_FLAG_SYN, 0, conn->comment) &&
	       packet(tap, conn, FLOW_TO_CLIENT, time_us, TCP_FLAG_SYN | TCP_FLAG_ACK, 0, "") &&
	       packet(tap, conn, FLOW_TO_ORIGIN, time_us, TCP_FLAG_ACK, 0, "");
}

static size_t read_piece(struct pcapng *tap, struct tap_item *item, size_t at)
{
	size_t len = item->len - at < sizeof(tap->payload) ? item->len - at : sizeof(tap->payload);
	ssize_t n;

	if (!item->pipe) {
		memcpy(tap->payload, item->bytes + at, len);
		return len;
	}
	do {
		n = read(item->pipe->read_fd, tap->payload, len);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? (size_t)n : 0;
}

static void handle_data(struct pcapng *tap, struct tap_item *item)
{
	struct pcapng_conn *conn = item->object;
	size_t at = 0, len;

	for (; at < item->len; at += len) {
		bool done;

		len = read_piece(tap, item, at);
		if (!len)
			break;
		done = file_ready(tap) && introduce(tap, conn, item->time_us);
		/* A reader sees by the sequence numbers where something is missing. */
		if (done)
			done = packet(tap, conn, item->flow, item->time_us,
				      TCP_FLAG_PSH | TCP_FLAG_ACK, len, "");
		else
			conn->next[item->flow] += (uint32_t)len;
		if (!done)
			conn->missing[item->flow] += len;
		explicit_bzero(tap->payload, len);
	}
	if (at < item->len) {
		conn->missing[item->flow] += item->len - at;
		item->pipe->spoiled = true;
	}
}

static void say_goodbye(struct pcapng *tap, struct pcapng_conn *conn, uint64_t time_us)
{
	char comment[160] = "";

	if (!tap->target || conn->number != tap->number || !file_ready(tap) ||
	    conn->number != tap->number)
		return;
	if (conn->missing[FLOW_TO_ORIGIN] || conn->missing[FLOW_TO_CLIENT])
		snprintf(comment, sizeof(comment),
			 "not in this file: %" PRIu64 " bytes to the origin, %" PRIu64
			 " bytes to the client",
			 conn->missing[FLOW_TO_ORIGIN], conn->missing[FLOW_TO_CLIENT]);
	if (packet(tap, conn, FLOW_TO_ORIGIN, time_us, TCP_FLAG_FIN | TCP_FLAG_ACK, 0, comment) &&
	    packet(tap, conn, FLOW_TO_CLIENT, time_us, TCP_FLAG_FIN | TCP_FLAG_ACK, 0, ""))
		packet(tap, conn, FLOW_TO_ORIGIN, time_us, TCP_FLAG_ACK, 0, "");
}

static void handle_close(struct pcapng *tap, struct tap_item *item)
{
	struct pcapng_conn *conn = item->object;
	uint64_t missing = 0;

	for (int i = 0; i < FLOWS; i++) {
		conn->missing[i] += item->missing[i];
		missing += conn->missing[i];
	}
	say_goodbye(tap, conn, item->time_us);
	if (missing)
		tap_told_truncated(tap->told, missing);
	free(conn);
}

void pcapng_handle(void *ctx, struct tap_item *item)
{
	struct pcapng *tap = ctx;

	switch (item->what) {
	case TAP_DATA: handle_data(tap, item); break;
	case TAP_CLOSE: handle_close(tap, item); break;
	case TAP_ADOPT:
		tap_target_free(tap->target);
		tap->target = item->object;
		if (tap->target)
			begin_file(tap);
		break;
	}
}
