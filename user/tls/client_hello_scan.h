/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_CLIENT_HELLO_SCAN_H
#define KSPLIT_TLS_CLIENT_HELLO_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_HEADER_LEN    5
#define HANDSHAKE_HEADER_LEN 4

/*
 * Are the records of a ClientHello all there (RFC 8446 5.1)? 1: yes, *message_len bytes of the
 * handshake message with its header are in the records that are the first *wire_len bytes. 0, and
 * the errors: as client_hello_parse, whose part this is.
 */
int client_hello_scan(const uint8_t *buf, size_t len, size_t *message_len, size_t *wire_len,
		      size_t *need);

#endif
