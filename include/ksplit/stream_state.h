/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_STREAM_STATE_H
#define KSPLIT_STREAM_STATE_H

#include <ksplit/head_event.h>

/*
 * What a sampler remembers of a stream of plaintext between two pieces of it: how far it is, never
 * what it said. In the BPF maps "sockets" and "pairs", or in the daemon's own memory. Needs __u8
 * ... __u64: <linux/types.h> in user space, vmlinux.h in bpf/.
 */

enum ksplit_scan_mode {
	KSPLIT_SCAN_FIRST_LINE, /* HTTP/1: before or in a message's first line */
	KSPLIT_SCAN_FIELDS,
	KSPLIT_SCAN_BODY,	/* `skip` bytes, then the message is over */
	KSPLIT_SCAN_CHUNK_SIZE,
	KSPLIT_SCAN_CHUNK_DATA, /* `skip` bytes, then CHUNK_END */
	KSPLIT_SCAN_CHUNK_END,
	KSPLIT_SCAN_TRAILERS,
	KSPLIT_SCAN_UNTIL_CLOSE,
	KSPLIT_SCAN_FRAME,	/* HTTP/2: before or in a frame's header */
	KSPLIT_SCAN_PAYLOAD,	/* `keep` bytes of a frame that is told of whole */
	KSPLIT_SCAN_OPAQUE,	/* not HTTP, or not any more */
};

#define KSPLIT_STATE_LENGTH    0x01 /* has a Content-Length */
#define KSPLIT_STATE_CHUNKED   0x02
#define KSPLIT_STATE_REST      0x04 /* the rest of a line that was too long is passed over */
#define KSPLIT_STATE_PENDING   0x08 /* the begin of a line or frame header is kept elsewhere */
#define KSPLIT_STATE_HTTP      0x10 /* at least one whole first line was seen */
#define KSPLIT_STATE_TO_HEAD   0x20 /* response: its request was a HEAD */
#define KSPLIT_STATE_TO_TUNNEL 0x40 /* response: its request was a CONNECT */
#define KSPLIT_STATE_FRAMING   0x80 /* the last field told the length: it must not be folded */

#define KSPLIT_SKIP_ALL (~0ULL)

struct ksplit_stream_state {
	__u64 conn;
	__u64 skip; /* bytes ahead that need not be seen */
	__u64 total; /* bytes that have gone by */
	__u64 message_bytes;
	__u64 body_bytes;
	__u64 content_length;
	__u64 first_ns; /* of the message; 0: not begun */
	__u32 sequence; /* of the next event */
	__u32 keep;
	__u16 status; /* response */
	__u8 mode;   /* enum ksplit_scan_mode */
	__u8 stream; /* enum ksplit_stream */
	__u8 flags;  /* KSPLIT_STATE_... */
	__u8 method; /* request: enum ksplit_method */
	__u8 sampler; /* enum ksplit_sampler */
	__u8 seen_by; /* fexit: enum ksplit_seen_by, of the last send */
	__u32 seen_at; /* ... and where the socket's stream was then */
	__u32 looks; /* fexit: at a piece that could not be read yet; 0: there is none */
};

/* Two programs see each send where one of them can be passed over (bpf/head_sampler.bpf.c). */
enum ksplit_seen_by { KSPLIT_SEEN_BOTH, KSPLIT_SEEN_FIRST, KSPLIT_SEEN_STAND_IN };

/* The methods that change how a response is read (RFC 9112 6.3). */
enum ksplit_method { KSPLIT_METHOD_ANY, KSPLIT_METHOD_HEAD, KSPLIT_METHOD_CONNECT };

#define KSPLIT_PAIR_REQUESTS 256 /* HTTP/1 requests that wait for a response, at most */
#define KSPLIT_PAIR_TIMES    32  /* ... whose begin is remembered */

/* What the two streams of a connection know of each other. */
struct ksplit_pair {
	__u64 request_ns[KSPLIT_PAIR_TIMES];
	__u8 method[KSPLIT_PAIR_REQUESTS]; /* enum ksplit_method */
	__u32 asked;	/* requests whose head was complete */
	__u32 answered; /* final responses whose head was complete */
	__u8 upgraded;	/* neither stream is HTTP any more */
	__u8 http2;	/* the client spoke HTTP/2 first */
	__u8 reserved[6];
};

/* Counters of the map "sampler_counts". */
enum ksplit_sampler_count {
	SAMPLER_EVENTS,	    /* handed over */
	SAMPLER_DROPPED,    /* the ring buffer was full */
	SAMPLER_UNREADABLE, /* pieces whose bytes could not be read */
	SAMPLER_NO_ROOM,    /* lines whose begin could not be kept */
	SAMPLER_LOOKED_AGAIN, /* pieces that were read when they were shown once more */
	SAMPLER_COUNTS
};

/* A stream of a connection: key of the maps "partial" and "sampled", word of "second_look". */
static inline __u64 ksplit_stream_key(__u64 conn, __u32 stream)
{
	return conn << 1 | stream;
}

/* A connection's number tells its worker (user/core/conn.c). */
static inline __u32 ksplit_worker_of(__u64 conn, __u32 workers)
{
	return (__u32)((conn - 1) % workers);
}

#define KSPLIT_LOOKS_MAX 8 /* fexit: at a piece */

/* A line or frame header that is not complete yet. */
#define KSPLIT_PENDING_MAX 1024

struct ksplit_pending {
	__u32 len;
	__u8 bytes[KSPLIT_PENDING_MAX];
};

#endif
