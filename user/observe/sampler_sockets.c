// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "ksplit.skel.h"
#include "observe/sampler_internal.h"
#include "observe/stream_scanner.h"

/* What the programs know of sockets, connections and streams: entries of their maps. */

int sampler_enlist(struct sampler *sampler, int fd, uint64_t conn, enum ksplit_stream stream)
{
	uint64_t key = ksplit_stream_key(conn, stream), value = (uint64_t)fd;

	if (!sampler->hash_attached)
		return 0;
	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sampled), &key, &value, BPF_ANY)
		       ? -errno
		       : 0;
}

int sampler_arm(struct sampler *sampler, enum sampler_place place, uint64_t conn, bool http2,
		const int fd[KSPLIT_STREAMS])
{
	const struct ksplit_pair pair = {.http2 = http2};

	if (bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.pairs), &conn, &pair, BPF_ANY))
		return -errno;
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		struct ksplit_stream_state state;
		int err;

		stream_state_init(&state, conn, i, sampler->at[place]);
		if (!bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd[i], &state,
					 BPF_ANY))
			continue;
		err = -errno;
		sampler_disarm(sampler, conn, fd);
		return err;
	}
	return 0;
}

int sampler_read(struct sampler *sampler, int fd, struct ksplit_stream_state *state)
{
	return bpf_map_lookup_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd, state) ? -errno
											 : 0;
}

int sampler_write(struct sampler *sampler, int fd, const struct ksplit_stream_state *state)
{
	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd, state, BPF_EXIST)
		       ? -errno
		       : 0;
}

int sampler_read_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			 struct ksplit_pending *pending)
{
	uint64_t key = ksplit_stream_key(state->conn, state->stream);

	return bpf_map_lookup_elem(bpf_map__fd(sampler->skel->maps.partial), &key, pending) ? -errno
											    : 0;
}

int sampler_write_pending(struct sampler *sampler, const struct ksplit_stream_state *state,
			  const struct ksplit_pending *pending)
{
	uint64_t key = ksplit_stream_key(state->conn, state->stream);

	return bpf_map_update_elem(bpf_map__fd(sampler->skel->maps.partial), &key, pending, BPF_ANY)
		       ? -errno
		       : 0;
}

void sampler_leave(struct sampler *sampler, int fd)
{
	bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd);
}

void sampler_forget(struct sampler *sampler, uint64_t conn)
{
	for (int i = 0; i < KSPLIT_STREAMS; i++) {
		uint64_t key = ksplit_stream_key(conn, (uint32_t)i);

		bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.partial), &key);
		if (sampler->hash_attached)
			bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sampled), &key);
	}
	bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.pairs), &conn);
}

void sampler_disarm(struct sampler *sampler, uint64_t conn, const int fd[KSPLIT_STREAMS])
{
	for (int i = 0; i < KSPLIT_STREAMS; i++)
		bpf_map_delete_elem(bpf_map__fd(sampler->skel->maps.sockets), &fd[i]);
	sampler_forget(sampler, conn);
}
