/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_REQUEST_H
#define KSPLIT_OBSERVE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"

/* Whose call: this host's own (or one that it forwards), or one to a service of this host. */
enum observe_direction { OBSERVE_OUTGOING, OBSERVE_INCOMING, OBSERVE_DIRECTIONS };

/* Who made a connection, at first sight; empty where nobody on this host did or nobody knows. */
struct observe_process {
	uint32_t pid;	  /* 0: not known */
	uint32_t uid;
	char command[16]; /* as in /proc/PID/comm */
	char unit[128];	  /* systemd unit ("nginx.service"), else the cgroup's path; "" */
};

/* What is the same for all requests of a connection. */
struct observe_conn {
	uint64_t id;
	enum observe_direction direction;
	char server_name[256];	     /* SNI; "" where the client sent none */
	union conn_address endpoint; /* the origin */
	union conn_address client;
	bool passed;		     /* raw: only bytes and timings are known */
	uint16_t tls_version;	     /* on the client's side; 0: none */
	uint16_t tls_suite;
	struct observe_process process;
};

enum observe_http_version { OBSERVE_HTTP_1_0 = 10, OBSERVE_HTTP_1_1 = 11, OBSERVE_HTTP_2 = 20 };

#define OBSERVE_METHOD_MAX 24
#define OBSERVE_HOST_MAX   256
#define OBSERVE_TYPE_MAX   64
#define OBSERVE_PATH_MAX   4096

/* A request and its response, as decoded; strings end with a NUL and hold no control characters. */
struct observe_request {
	uint64_t time_ns; /* CLOCK_MONOTONIC of the request's first byte */
	enum observe_http_version version;
	char method[OBSERVE_METHOD_MAX]; /* "" when only a response was seen */
	char host[OBSERVE_HOST_MAX];	 /* Host or :authority, with its port if it has one */
	char content_type[OBSERVE_TYPE_MAX]; /* of the response, without parameters */
	char path[OBSERVE_PATH_MAX];	 /* "/a/42?q&page": without values, without user info */
	bool path_cut;			 /* it was longer */
	int status;			 /* 0: no response came */
	int grpc_status;		 /* from the trailers; -1: not gRPC */
	uint64_t request_bytes, request_body;	/* whole message as on the stream; its body */
	uint64_t response_bytes, response_body; /* (HTTP/2: its frames, and DATA payload) */
	bool has_first_byte;		 /* of the final (not 1xx) response's head */
	uint64_t first_byte_us;		 /* ... since time_ns */
	bool complete;			 /* the response came to its end */
	uint64_t last_byte_us;		 /* ... since time_ns */
	bool joined_in_kernel;		 /* first_byte_us was measured by the BPF program */
};

#endif
