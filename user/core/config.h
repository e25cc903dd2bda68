/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_H
#define KSPLIT_CORE_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "capture/capture.h"
#include "core/log.h"
#include "core/policy.h"
#include "core/upstream.h"
#include "pki/identity_source.h"
#include "tls/side_policy.h"

#define CONFIG_MAX_LISTENERS 16
#define CONFIG_GCM_RECORDS   23726566 /* 2^24.5, RFC 8446 5.5 */
#define CONFIG_PATH	     "/etc/ksplit/ksplit.json"

/* Where a listener's connections go. */
enum destination_kind {
	DESTINATION_STATIC,
	DESTINATION_SNI,
	DESTINATION_ORIGINAL,
	DESTINATION_TPROXY,
};

/* What a service learns of its client's address. */
enum config_client_address {
	CLIENT_ADDRESS_NONE,
	CLIENT_ADDRESS_PROXY_V2,    /* a header of the PROXY protocol says it */
	CLIENT_ADDRESS_TRANSPARENT, /* it is the source of our connection */
};

#define CONFIG_ALPN_MAX 64

struct config_listener {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address; /* numeric only */
	enum destination_kind destination;
	char host[256]; /* static: host name or numeric address, without brackets */
	uint16_t port;	/* static and sni; host order */
	bool starttls_off; /* plain dialogues are not watched for their turn to TLS */
	/* for calls to services of ours, which are shown with their own identities */
	bool incoming;
	bool plain_upstream; /* the service speaks plain TCP */
	enum config_client_address client_address;
	uint8_t alpn[CONFIG_ALPN_MAX]; /* plain_upstream: its protocols, each after its length */
	size_t alpn_len;
};

enum config_relay { RELAY_AUTO, RELAY_SPLICE, RELAY_COPY, RELAY_USER };
enum config_ktls { KTLS_AUTO, KTLS_OFF, KTLS_REQUIRE };
enum config_sampler { SAMPLER_AUTO, SAMPLER_BPF, SAMPLER_USER, SAMPLER_OFF };
enum config_print_rules { PRINT_RULES_NO, PRINT_RULES, PRINT_RULES_NFT, PRINT_RULES_IPTABLES };
enum config_taps_side { TAPS_SIDE_CLIENT, TAPS_SIDE_UPSTREAM, TAPS_SIDE_BOTH };
enum config_attach { ATTACH_AUTO, ATTACH_FENTRY, ATTACH_SK_MSG };

/* How plaintext heads are sampled (docs/observation.md). */
struct config_sampling {
	enum config_attach attach; /* of the BPF sampler, for kernel TLS */
	uint32_t head_bytes;	   /* of a head that are looked at, 64 ... 4096 */
	uint32_t ring_bytes;	   /* BPF ring buffer; rounded up to a power of two of pages */
	uint32_t queue_bytes;	   /* for each worker, the daemon's own sampler */
	bool timings;		   /* sock_ops program */
	bool processes;		   /* connect hook: who called? */
};

/* Where aggregates go. */
struct config_metrics {
	char *prometheus;	/* "ADDR:PORT", ":PORT" (loopback); "": no metrics port */
	char *otlp_endpoint;	/* "http://HOST:4318/v1/metrics"; "": none */
	uint32_t otlp_interval; /* ms */
	uint32_t otlp_timeout;	/* ms, of one export */
	uint32_t otlp_queue;	/* exports that wait for a collector that is away */
	uint32_t max_series;	/* beside "other" */
	uint32_t max_endpoints;
};

/* What can be resumed (docs/sessions.md). */
struct config_sessions {
	uint32_t upstream_cache;      /* sessions of origins that are kept; 0: none */
	uint32_t upstream_lifetime_s; /* ... since the origin showed its certificate */
	bool upstream_tickets;
	uint32_t client_cache; /* sessions of clients that take no tickets; 0: none */
	bool client_tickets;
	uint32_t rotation_s; /* of the keys of clients' tickets */
};

/* What is written of keys and plaintext, for who owns the host (docs/taps.md). */
struct config_taps {
	char *keylog;			  /* path; NULL: none, as with the others */
	enum config_taps_side keylog_side;
	char *content;			  /* pattern of paths (tap/content_name.h) */
	uint32_t content_connection;	  /* KiB of each direction */
	uint32_t content_total;		  /* MiB */
	char *pcapng;			  /* path */
	uint32_t pcapng_connection;	  /* KiB of each direction */
	uint32_t pcapng_file;		  /* MiB */
	uint32_t pcapng_files;		  /* old ones that are kept */
	struct policy_rule which;	  /* connections; empty: all */
};

/* Deadlines in milliseconds, each at least 1. */
struct config_deadlines {
	uint32_t silence;	     /*   100: no byte of the client; the origin is called */
	uint32_t peek;		     /* 10000: complete ClientHello */
	uint32_t resolve;	     /*  5000 */
	uint32_t connect;	     /* 10000: TCP to the origin, all addresses together */
	uint32_t plain;		     /* 30000: a dialogue in plain is watched for its turn to TLS */
	uint32_t upstream_handshake; /* 10000 */
	uint32_t client_handshake;   /* 10000 */
	uint32_t idle;		     /* 600000: no byte either way */
	uint32_t close;		     /* 10000: a peer that does not take our last bytes */
	uint32_t drain;		     /* 30000: after SIGTERM */
	uint32_t upgrade;	     /* 30000: for another ksplitd to get ready to take over */
	uint32_t upgrade_drain;	     /* 3600000: after another ksplitd has taken over */
};

/* The whole configuration, checked; strings are owned by it. */
struct config {
	struct config_listener listeners[CONFIG_MAX_LISTENERS];
	size_t listeners_len;
	struct identity_source *identities; /* owned */
	size_t identities_len;
	char *ca_cert; /* PEM file: CA certificate, then any certificates above it */
	char *ca_key;
	char *leaf_key_type;  /* "P-256" (default), "P-384", "RSA-2048", "RSA-3072" */
	uint32_t leaf_cache;  /* entries, default 4096 */
	uint32_t sign_rate;   /* leaves a second that are signed, default 1000 */
	char *signer_user;    /* whom the signing process becomes, default "nobody" */
	struct tls_policy tls_client, tls_upstream; /* section "tls" */
	char *upstream_ca;    /* PEM file; NULL: the system store */
	enum config_verify verify;
	bool parallel_handshake; /* with clients of known origins */
	struct upstream_rules upstream; /* what is otherwise for some origins */
	enum config_relay relay;
	enum config_ktls ktls;
	enum config_sampler sampler;
	struct config_sampling sampling;
	struct config_metrics metrics;
	struct config_taps taps;
	struct capture capture;
	struct policy policy; /* section "pass" */
	char *control;	      /* path; "" switches the control socket off */
	char *access_log;     /* path, "-" for stdout; NULL: none */
	bool access_log_requests; /* lines of type "request", too */
	uint32_t workers;     /* 0: one per CPU that we may run on */
	uint32_t max_connections; /* per process, 0: what RLIMIT_NOFILE allows */
	uint32_t handshakes;	  /* under way at a time, per process; 0: no limit */
	uint32_t memory;	  /* resident, MiB; 0: no limit */
	uint32_t learned_pass;	  /* ms that a refusal of the leaf is remembered; 0: not at all */
	uint32_t learned_names;	  /* of these at most */
	uint32_t gcm_records; /* records sealed with one AES-GCM key before it is replaced */
	struct config_sessions sessions;
	struct config_deadlines deadlines;
	char *user;	      /* whom the daemon becomes; NULL: it stays who it is */
	bool has_file;	      /* a file was read */
	bool foreground;
	bool check;	      /* --check: read and check everything, open nothing, exit */
	enum config_print_rules print_rules; /* --print-rules[=LANGUAGE], exit */
	enum log_level log_level;
};

/* Set defaults; free what a config owns (the struct itself stays the caller's). */
void config_init(struct config *config);
void config_free(struct config *config);

/* The same for one on the heap, with defaults set. NULL: out of memory; allowed for delete. */
struct config *config_new(void);
void config_delete(struct config *config);

/*
 * Read a configuration file (JSON with // and comments) over `config`. 0, or -errno with one
 * line in `error`: file, line, key, what is expected. -ENOENT only when the file is not there.
 */
int config_read_file(struct config *config, const char *path, char *error, size_t error_len);

/*
 * After file and command line: does it make sense as a whole (a listener, a CA, ...)? 0 or -EINVAL
 * with one line.
 */
int config_check(const struct config *config, char *error, size_t error_len);

/*
 * Parse pieces that the file and the command line share. 0 or -EINVAL. "ADDR:PORT", "[ADDR6]:PORT",
 * ":PORT".
 */
int config_parse_listen(const char *text, struct config_listener *listener);
/* "original", "tproxy", "sni:PORT", "HOST:PORT", "[ADDR6]:PORT". 0 or -EINVAL. */
int config_parse_destination(const char *text, struct config_listener *listener);

#endif
