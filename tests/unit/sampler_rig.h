/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SAMPLER_RIG_H
#define KSPLIT_TESTS_SAMPLER_RIG_H

/* A connection whose two streams are sent into sockets that a BPF program follows. After cmocka.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/tcp.h>

#include "bpf_rig.h"
#include "observe/sampler.h"
#include "scan_run.h"
#include "tcp_pair.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

struct sampler_line {
	struct sampler *sampler; /* not owned */
	struct tcp_pair pair[KSPLIT_STREAMS];
	int fd[KSPLIT_STREAMS]; /* that are sent into */
	int pipe[2];
	uint64_t conn;
	struct scan_events events;
};

/* Keys of no connection: what they seal is never opened. */
static inline int line_seal(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		return -errno;
	return setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info)) ? -errno : 0;
}

static inline bool line_has_kernel_tls(void)
{
	struct tcp_pair pair;
	int err;

	tcp_pair_open(&pair, TCP_PAIR_V4);
	err = line_seal(pair.client);
	tcp_pair_close(&pair);
	return err == 0;
}

static inline void line_open(struct sampler_line *line, struct sampler *sampler,
			     enum sampler_place place, uint64_t conn, bool http2)
{
	*line = (struct sampler_line){.sampler = sampler, .conn = conn};
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		tcp_pair_open(&line->pair[i], (conn + (unsigned int)i) % TCP_PAIR_FAMILIES);
		line->fd[i] = i ? line->pair[i].server : line->pair[i].client;
		if (sampler_at(sampler, place) == KSPLIT_SAMPLER_SK_MSG)
			assert_int_equal(sampler_enlist(sampler, line->fd[i], conn, i), 0);
		if (place == SAMPLER_KERNEL_TLS)
			assert_int_equal(line_seal(line->fd[i]), 0);
	}
	assert_int_equal(pipe2(line->pipe, O_CLOEXEC), 0);
	assert_int_equal(sampler_arm(sampler, place, conn, http2, line->fd), 0);
}

static inline void line_close(struct sampler_line *line)
{
	sampler_disarm(line->sampler, line->conn, line->fd);
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		tcp_pair_close(&line->pair[i]);
	close(line->pipe[0]);
	close(line->pipe[1]);
	scan_events_drop(&line->events);
}

static inline void line_take_event(void *ctx, const struct ksplit_head_event *event)
{
	struct sampler_line *line = ctx;

	if (event->conn == line->conn)
		scan_events_add(&line->events, event);
}

static inline struct ksplit_stream_state line_state(const struct sampler_line *line,
						    enum ksplit_stream stream)
{
	struct ksplit_stream_state state;

	assert_int_equal(sampler_read(line->sampler, line->fd[stream], &state), 0);
	return state;
}

/* What has arrived is of no interest, but has to make room. */
static inline void line_drain(const struct sampler_line *line, enum ksplit_stream stream)
{
	const struct tcp_pair *pair = &line->pair[stream];
	int fd = stream ? pair->client : pair->server;
	static char sink[65536];

	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static inline void line_send(const struct sampler_line *line, enum ksplit_stream stream,
			     const char *data, size_t len)
{
	char *copy = malloc(len); /* another address each time */

	assert_non_null(copy);
	memcpy(copy, data, len);
	assert_int_equal(send(line->fd[stream], copy, len, MSG_NOSIGNAL), len);
	free(copy);
	line_drain(line, stream);
}

static inline void line_splice(const struct sampler_line *line, enum ksplit_stream stream,
			       const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(line->pipe[1], data, len < 16384 ? len : 16384);

		assert_true(n > 0);
		assert_int_equal(splice(line->pipe[0], NULL, line->fd[stream], NULL, (size_t)n, 0),
				 n);
		line_drain(line, stream);
		data += n;
		len -= (size_t)n;
	}
}

static inline int line_poll(struct sampler_line *line)
{
	return sampler_poll(line->sampler, line_take_event, line);
}

#endif
