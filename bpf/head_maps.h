/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BPF_HEAD_MAPS_H
#define KSPLIT_BPF_HEAD_MAPS_H

/* The head sampler's maps, and the scanner made for BPF. After vmlinux.h and bpf_helpers.h. */

#include <ksplit/stream_state.h>

/* Tunables, set before loading. */
const volatile __u32 head_bytes = KSPLIT_HEAD_DEFAULT;
const volatile __u32 workers = 1;
const volatile bool stand_ins = false; /* each send is seen by two programs */
const volatile __u32 wake_bytes = 2 << 20; /* in the ring: the daemon is woken before its time */

/* Head events. Its size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} heads SEC(".maps");

/* A sampled socket: how far the stream is that we send into it. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ksplit_stream_state);
} sockets SEC(".maps");

/*
 * By worker: the stream (pending_key) of which a piece waits for a second look; 0: none. The daemon
 * reads it in its own memory after each send, user/observe/sampler_look.c.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} second_look SEC(".maps");

#define CONNECTIONS_MAX (1 << 20)

/* By connection number: what its two streams know of each other. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, __u64);
	__type(value, struct ksplit_pair);
} pairs SEC(".maps");

/* The begin of a line that goes on in the next piece; gone as soon as that has come. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, __u64);
	__type(value, struct ksplit_pending);
} partial SEC(".maps");

/* Sockets whose sends the sk_msg program sees, by connection and stream. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} sampled SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ksplit_pending);
} partial_new SEC(".maps");

/* Of the ring that are written over at once, or of anything else at most. */
#define BLANK_BYTES 4096

struct blank {
	__u8 bytes[BLANK_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct blank);
} blanks SEC(".maps");

/* What became of events; each CPU counts its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SAMPLER_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} sampler_counts SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&sampler_counts, &what);

	if (n)
		++*n;
}

/* Reading zeros is the one way to write over a length that is known at run time only. */
static __always_inline void blank_out(void *at, __u32 size)
{
	__u32 zero = 0;
	struct blank *blank = bpf_map_lookup_elem(&blanks, &zero);

	if (blank)
		bpf_probe_read_kernel(at, size, blank->bytes);
}

/*
 * Scratch memory is each worker's own, not each CPU's: these programs may be preempted, and another
 * worker's may run on the same CPU then.
 */
static __always_inline __u32 worker_of(const struct ksplit_stream_state *state)
{
	return ksplit_worker_of(state->conn, workers);
}

static __always_inline __u64 pending_key(const struct ksplit_stream_state *state)
{
	return ksplit_stream_key(state->conn, state->stream);
}

static __always_inline void emit(void *event, __u32 size)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&heads, BPF_RB_AVAIL_DATA) > wake_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	count(bpf_ringbuf_output(&heads, event, size, flags) ? SAMPLER_DROPPED : SAMPLER_EVENTS);
}

/*
 * One instruction each, at any address. Functions, because clang looks through a cast at what is
 * cast: of an array of bytes it would load a byte at a time.
 */
static __always_inline __u64 load(const void *from)
{
	return *(const __u64 *)from;
}

static __always_inline void store(void *to, __u64 word)
{
	*(__u64 *)to = word;
}

#define SCAN_FN			 __attribute__((noinline))
#define SCAN_LOAD(from)		 load(from)
#define SCAN_STORE(to, word)	 store(to, word)
#define SCAN_COPY(to, from, len) bpf_probe_read_kernel(to, len, from)
#define SCAN_EMIT(event, size)	 emit(event, size)

#include <ksplit/stream_scan.h>

_Static_assert(KSPLIT_PENDING_MAX <= BLANK_BYTES, "a line's begin is written over at once");

/* Of the worker whose call a program runs in. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ksplit_scan);
} scratch SEC(".maps");

#endif
