/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_CONN_INFO_H
#define KSPLIT_OBSERVE_CONN_INFO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <ksplit/reason.h>

/*
 * What is known of one connection: kept by the connection, copied for status, printed by the
 * access log.
 */

/* Also the phase that the time is counted to. */
enum conn_state {
	CONN_PEEK,
	CONN_RESOLVE,
	CONN_CONNECT,
	CONN_PLAIN, /* a dialogue in plain that may turn to TLS */
	CONN_UPSTREAM_HANDSHAKE,
	CONN_LEAF,
	CONN_CLIENT_HANDSHAKE,
	CONN_RELAY,
	CONN_CLOSING, /* last bytes (an alert) on their way to the client */
	CONN_STATES
};

enum conn_side { SIDE_CLIENT, SIDE_UPSTREAM, SIDES };
enum conn_flow { FLOW_TO_ORIGIN, FLOW_TO_CLIENT, FLOWS };
enum conn_relay {
	CONN_RELAY_NONE,
	CONN_RELAY_SPLICE,
	CONN_RELAY_COPY,
	CONN_RELAY_USER,
	CONN_RELAY_RAW
};

/* What said in plain that TLS follows (docs/starttls.md). */
enum conn_upgrade {
	CONN_UPGRADE_NONE, /* nothing did: TLS from the first byte, or never */
	CONN_UPGRADE_SMTP,
	CONN_UPGRADE_IMAP,
	CONN_UPGRADE_POP3,
	CONN_UPGRADE_FTP,
	CONN_UPGRADE_LDAP,
	CONN_UPGRADE_POSTGRESQL,
	CONN_UPGRADE_MYSQL,
	CONN_UPGRADE_CONNECT,
	CONN_UPGRADE_XMPP,
	CONN_UPGRADE_NNTP,
	CONN_UPGRADE_SIEVE, /* ManageSieve */
	CONN_UPGRADE_OTHER, /* a ClientHello where the client was to answer */
	CONN_UPGRADES
};

/* How the origin's certificate was judged; NONE: it was not (passed, or not that far). */
enum conn_verify { CONN_VERIFY_NONE, CONN_VERIFY_MIMIC, CONN_VERIFY_REQUIRE, CONN_VERIFY_OFF };

union conn_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct conn_side_info {
	uint16_t version; /* 0x0303, 0x0304; 0: no handshake finished */
	uint16_t suite;   /* IANA code */
	bool resumed;
	bool rx_kernel, tx_kernel;
	/* FALLBACK class; NONE when in the kernel or not yet decided */
	enum ksplit_reason rx_reason, tx_reason;
	int alert_received, alert_sent; /* alert descriptions, -1: none; close_notify is 0 */
};

struct conn_flow_info {
	enum conn_relay relay; /* how the last bytes went */
	uint64_t bytes;        /* plaintext bytes relayed (raw: bytes as they are) */
	uint64_t spliced;      /* of these by splice */
	uint64_t records_in;   /* user space and splice: records read; 0 where nobody counts */
};

struct conn_info {
	uint64_t id;      /* unique in this process */
	int64_t start_ms; /* wall clock, ms since the epoch */
	enum conn_state state;
	bool incoming;                  /* a call to a service of ours */
	bool passed;                    /* raw */
	enum ksplit_reason pass_reason; /* PASS class or NONE */
	enum ksplit_reason end_reason;  /* END class; NONE while open */
	union conn_address client;      /* sa_family 0: not known */
	union conn_address local;       /* our address on the client's side */
	union conn_address upstream;
	union conn_address upstream_local; /* our address on the origin's side */
	char sni[256];
	char alpn[32]; /* what the origin chose, printable; "" none */
	enum conn_verify origin_verify;
	uint16_t origin_rule;   /* of "upstream.rules", its index plus one; 0: none */
	uint16_t origin_faults; /* enum ksplit_origin_fault */
	struct conn_side_info side[SIDES];
	struct conn_flow_info flow[FLOWS];
	enum conn_upgrade upgrade;
	uint64_t upgrade_bytes[FLOWS]; /* that went in plain before it; not in `flow` */
	/* microseconds spent in each state; the current one counts up to the snapshot */
	uint64_t phase_us[CONN_STATES];
	bool has_origin_fp, has_leaf_fp;
	uint8_t origin_fp[32], leaf_fp[32]; /* SHA-256 of the DER certificates */
};

/*
 * Names as status and log print them, static strings: "peek", "resolve", "connect",
 * "plain", "upstream_handshake", "leaf", "client_handshake", "relay", "closing"; "none", "splice",
 * "copy", "user", "raw"; "none", "mimic", "require", "off"; "TLSv1.2", "TLSv1.3", "none" for 0;
 * "unknown" for what is none of these.
 * A suite by its IANA name, "TLS_AES_128_GCM_SHA256"; NULL for one that we do not negotiate.
 */
const char *conn_state_name(enum conn_state state);

/* "smtp", "imap", "pop3", "ftp", "ldap", "postgresql", "mysql", "connect", "other", "none". */
const char *conn_upgrade_name(enum conn_upgrade upgrade);
const char *conn_relay_name(enum conn_relay relay);
const char *conn_verify_name(enum conn_verify verify);
const char *conn_version_name(uint16_t version);
const char *conn_suite_name(uint16_t suite);

/*
 * "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%2]:443", "" for an unknown address; v4-mapped
 * IPv6 prints as IPv4. At most `len` bytes with the NUL; 64 are enough. Returns buf.
 */
const char *conn_address_print(const union conn_address *address, char *buf, size_t len);

#endif
