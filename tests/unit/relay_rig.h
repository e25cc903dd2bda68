/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_RELAY_RIG_H
#define KSPLIT_TESTS_RELAY_RIG_H

/*
 * A relayed connection with both its peers, in one thread: client - end - flows - end - origin.
 * Include after cmocka.h.
 */

#include "end_rig.h"
#include "relay/relay.h"

struct relay_rig {
	struct lab *lab;
	struct end_rig side[SIDES];
	struct relay_flow flow[FLOWS];
	enum relay_result result[FLOWS];
	struct conn_flow_info info[FLOWS];
	struct pipe_pool pipes;
	struct relay_env env;
};

struct relay_options {
	struct end_options client, upstream;
	enum relay_choice choice;
};

static inline void relay_rig_open(struct relay_rig *rig, struct lab *lab,
				  const struct relay_options *options)
{
	struct end_options client = options->client, upstream = options->upstream;

	client.is_client_side = true;
	upstream.is_client_side = false;
	memset(rig, 0, sizeof(*rig));
	rig->lab = lab;
	rig_open(&rig->side[SIDE_CLIENT], lab, &client);
	rig_open(&rig->side[SIDE_UPSTREAM], lab, &upstream);
	rig->env = (struct relay_env){.scratch = lab->scratch,
				      .scratch_len = sizeof(lab->scratch),
				      .pipes = &rig->pipes,
				      .stats = &lab->stats};
	relay_flow_init(&rig->flow[FLOW_TO_ORIGIN], &rig->side[SIDE_CLIENT].end,
			&rig->side[SIDE_UPSTREAM].end, options->choice, STAT_BYTES_TO_ORIGIN,
			&rig->info[FLOW_TO_ORIGIN]);
	relay_flow_init(&rig->flow[FLOW_TO_CLIENT], &rig->side[SIDE_UPSTREAM].end,
			&rig->side[SIDE_CLIENT].end, options->choice, STAT_BYTES_TO_CLIENT,
			&rig->info[FLOW_TO_CLIENT]);
}

static inline void relay_rig_close(struct relay_rig *rig)
{
	for (int i = 0; i < FLOWS; i++)
		relay_flow_release(&rig->flow[i], &rig->env);
	assert_int_equal(rig->pipes.lent, 0);
	pipe_pool_free(&rig->pipes);
	for (int i = 0; i < SIDES; i++)
		rig_close(&rig->side[i]);
}

static inline enum relay_result relay_rig_pump(struct relay_rig *rig, enum conn_flow flow)
{
	rig->result[flow] = relay_flow_pump(&rig->flow[flow], &rig->env);
	return rig->result[flow];
}

static inline struct peer *relay_rig_from(struct relay_rig *rig, enum conn_flow flow)
{
	return &rig->side[flow == FLOW_TO_ORIGIN ? SIDE_CLIENT : SIDE_UPSTREAM].peer;
}

static inline struct peer *relay_rig_to(struct relay_rig *rig, enum conn_flow flow)
{
	return &rig->side[flow == FLOW_TO_ORIGIN ? SIDE_UPSTREAM : SIDE_CLIENT].peer;
}

/* A direction's stream of random bytes, and how far it has come. */
struct stream {
	uint8_t *bytes;
	size_t len, sent, received;
	size_t offered; /* length of a TLS write that has to be repeated */
	size_t max_write;
};

static inline void stream_open(struct stream *stream, size_t len, size_t max_write)
{
	*stream = (struct stream){.bytes = malloc(len), .len = len, .max_write = max_write};
	assert_non_null(stream->bytes);
	fill_random(stream->bytes, len);
}

static inline void stream_write(struct stream *stream, struct peer *peer)
{
	size_t n;

	if (stream->sent == stream->len)
		return;
	if (!stream->offered)
		stream->offered = 1 + (size_t)random() % stream->max_write;
	if (stream->offered > stream->len - stream->sent)
		stream->offered = stream->len - stream->sent;
	n = peer_write(peer, stream->bytes + stream->sent, stream->offered);
	stream->sent += n;
	if (n)
		stream->offered = 0;
}

static inline void stream_read(struct stream *stream, struct peer *peer)
{
	static uint8_t got[65536];
	size_t len, want = 1 + (size_t)random() % sizeof(got);
	int alert;

	if (peer_read(peer, got, want, &len, &alert) != PEER_DATA)
		return;
	assert_true(len <= stream->len - stream->received);
	assert_memory_equal(got, stream->bytes + stream->received, len);
	stream->received += len;
}

/* Nothing moved: give the kernel (delayed acknowledgements, work items) a moment. */
static inline void relay_rig_rest(int *idle, bool moved)
{
	*idle = moved ? 0 : *idle + 1;
	assert_true(*idle < PATIENCE_MS);
	if (*idle > 3)
		poll(NULL, 0, 1);
}

static inline bool result_is_good(enum relay_result result)
{
	return result != RELAY_FAILED && result != RELAY_SINK_GONE;
}

/* Until every stream that is not NULL has arrived whole. */
static inline void relay_rig_run(struct relay_rig *rig, struct stream *streams[FLOWS])
{
	size_t before = SIZE_MAX, left = 1;

	for (int idle = 0; left; relay_rig_rest(&idle, left != before)) {
		before = left;
		left = 0;
		for (int i = 0; i < FLOWS; i++) {
			if (!streams[i])
				continue;
			stream_write(streams[i], relay_rig_from(rig, i));
			assert_true(result_is_good(relay_rig_pump(rig, i)));
			stream_read(streams[i], relay_rig_to(rig, i));
			left += streams[i]->len - streams[i]->received;
		}
	}
}

/* Pump one flow until it says so. */
static inline void relay_rig_until(struct relay_rig *rig, enum conn_flow flow,
				   enum relay_result wanted)
{
	for (int idle = 0; relay_rig_pump(rig, flow) != wanted; relay_rig_rest(&idle, false))
		;
}

/* ... or until the source's end has gone out. */
static inline void relay_rig_until_phase(struct relay_rig *rig, enum conn_flow flow,
					 enum relay_phase wanted)
{
	for (int idle = 0; rig->flow[flow].phase != wanted; relay_rig_rest(&idle, false))
		relay_rig_pump(rig, flow);
}

static inline enum peer_event next_event(struct peer *peer, int *alert)
{
	uint8_t bytes[64];
	size_t len;

	return peer_await(peer, bytes, sizeof(bytes), &len, alert);
}

/* Read all data before this: OpenSSL takes a FIN without a close_notify for the end of both ways.
 */
static inline void expect_fin(struct peer *peer)
{
	char byte;

	wait_readable(peer->fd);
	assert_int_equal(recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), 0);
}

#endif
