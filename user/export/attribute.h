/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_ATTRIBUTE_H
#define KSPLIT_EXPORT_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/request.h"

/*
 * Attributes of requests and connections as text, with the values that OpenTelemetry's semantic
 * conventions give them. "" is an attribute that is not known.
 */

#define ATTRIBUTE_OTHER      "other" /* what is beyond a limit, summed */
#define ATTRIBUTE_NUMBER_MAX 16

/* Numeric, without brackets; the port in decimal. */
struct attribute_address {
	char host[64];
	char port[8];
};
void attribute_address(const union conn_address *address, struct attribute_address *out);

/* "outgoing", "incoming". */
const char *attribute_direction(enum observe_direction direction);

/* "https"; "http" where the client speaks plain TCP. */
const char *attribute_scheme(bool plain);

/* "1.0", "1.1", "2". */
const char *attribute_http_version(enum observe_http_version version);

/*
 * Written to `text` where it is not a name: the status, "" for none (0); the gRPC status, "" for
 * -1; "1.2", "1.3"; the suite's IANA name. Versions and suites without a name are hexadecimal,
 * "0x0301".
 */
const char *attribute_status(int status, char text[ATTRIBUTE_NUMBER_MAX]);
const char *attribute_grpc_status(int status, char text[ATTRIBUTE_NUMBER_MAX]);
const char *attribute_tls_version(uint16_t version, char text[ATTRIBUTE_NUMBER_MAX]);
const char *attribute_tls_cipher(uint16_t suite, char text[ATTRIBUTE_NUMBER_MAX]);

/* "gap", "sampler", "malformed", "too_many": why a stream is not decoded any more. */
const char *attribute_trouble(unsigned int trouble);

#endif
