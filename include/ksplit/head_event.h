/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_HEAD_EVENT_H
#define KSPLIT_HEAD_EVENT_H

/*
 * What a sampler tells the daemon of one stream's plaintext: heads of messages, never their bodies.
 * All samplers write this one layout, the BPF programs into a ring buffer, the daemon's own into
 * its workers' queues. Needs __u8 ... __u64: <linux/types.h> in user space, vmlinux.h in bpf/.
 */

#define KSPLIT_HEAD_DEFAULT 512	 /* bytes of a head that are looked at, unless configured */
#define KSPLIT_HEAD_MAX	    4096 /* ... and at most; also the most bytes of one event */

/* A connection has two streams of plaintext. */
enum ksplit_stream {
	KSPLIT_REQUESTS,  /* client to origin */
	KSPLIT_RESPONSES, /* origin to client */
	KSPLIT_STREAMS
};

enum ksplit_event_kind {
	/*
	 * HTTP/1 (RFC 9112): `head` holds whole lines, each with its CRLF, of one message's head:
	 * the first line (query values are left out: "/a?b=1&c" arrives as "/a?b&c"; of an absolute
	 * URI only the path), the fields host, content-type, content-length, transfer-encoding, and
	 * the empty line. One head may come in several events (flags); one event is of one message.
	 */
	KSPLIT_EVENT_HTTP1 = 1,
	/*
	 * HTTP/2 (RFC 9113): `head` is the stream of frames in order, each with its 9-byte header,
	 * of any size and cut anywhere (a frame may go on in the next event). Frames of type
	 * HEADERS, CONTINUATION, PUSH_PROMISE, RST_STREAM, SETTINGS and GOAWAY have their payload;
	 * DATA has its header only, the payload is left out; others, and the connection preface,
	 * are left out whole.
	 */
	KSPLIT_EVENT_HTTP2,
	KSPLIT_EVENT_OTHER, /* neither; told once for a stream, and nothing of it afterwards */
	KSPLIT_EVENT_LOST,  /* the sampler cannot follow this stream any more; the last event */
};

/* Of HTTP/1 events. */
#define KSPLIT_HEAD_FIRST     0x01 /* begins with the first line of a message */
#define KSPLIT_HEAD_WHOLE     0x02 /* ends with the empty line: the head is complete */
/* The message is over: the last byte of its body was sent at time_ns; message_bytes and body_bytes
 * are set. */
#define KSPLIT_HEAD_END	      0x04
#define KSPLIT_HEAD_ABORTED   0x08 /* with END: the connection ended within the message */
#define KSPLIT_HEAD_CUT	      0x10 /* the first line was longer than what is looked at */
/*
 * With WHOLE, of a response: no body whatever its fields say (HEAD, 204, 304, 1xx; RFC 9112 6.3).
 */
#define KSPLIT_HEAD_BODYLESS  0x20
#define KSPLIT_HEAD_UPGRADED  0x40 /* with END: what follows is not HTTP (101, CONNECT) */

struct ksplit_head_event {
	__u64 conn;	     /* the connection's number, as in the access log */
	__u64 time_ns;	     /* CLOCK_MONOTONIC when the bytes were sent on */
	__u64 first_ns;	     /* HTTP/1: when the message's first byte was */
	__u64 latency_ns;    /* HTTP/1, FIRST of a response: since its request's; 0: not joined */
	__u64 message_bytes; /* END: of the whole message as it went over the stream */
	__u64 body_bytes;    /* END: of these the body, without the lines of chunks */
	__u32 sequence;	     /* counts a stream's events from 0: a gap tells of dropped ones */
	__u16 len;	     /* bytes in head[] */
	__u8 stream;	     /* enum ksplit_stream */
	__u8 kind;	     /* enum ksplit_event_kind */
	__u8 flags;	     /* KSPLIT_HEAD_... */
	__u8 sampler;	     /* enum ksplit_sampler */
	__u8 reserved[6];
	__u8 head[];
};

/* Which sampler an event came from. */
enum ksplit_sampler {
	KSPLIT_SAMPLER_NONE,
	KSPLIT_SAMPLER_FENTRY, /* BPF on inet_sendmsg and inet6_sendmsg: sockets of kernel TLS */
	/* BPF in a sockhash: plain TCP, and kernel TLS where the kernel allows both. */
	KSPLIT_SAMPLER_SK_MSG,
	KSPLIT_SAMPLER_USER,   /* the daemon itself */
	KSPLIT_SAMPLERS
};

#endif
