/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_TAP_ABOUT_H
#define KSPLIT_TAP_TAP_ABOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "observe/tap_status.h"

/* What a tap says of a connection beside its bytes. */
struct tap_about {
	uint64_t id;
	int64_t start_ms; /* wall clock */
	union conn_address client, origin;
	char sni[256];	  /* the client's: any bytes */
	char alpn[32];
	uint16_t version; /* of TLS, on the client's side */
	bool incoming;
	bool wanted[TAP_KINDS]; /* by its configuration: TAP_CONTENT, TAP_PCAPNG */
};

#endif
