/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_ADDRESS_KEY_H
#define KSPLIT_OBSERVE_ADDRESS_KEY_H

#include <stdint.h>

#include "observe/conn_info.h"

#define ADDRESS_KEY_LEN 23

/*
 * An address and port as bytes that are equal when, and only when, the address is the same:
 * v4-mapped IPv6 is IPv4, and only link-local addresses have a zone (RFC 4007 11). Unknown ones are
 * all zeros.
 */
void address_key_pack(const union conn_address *address, uint8_t key[ADDRESS_KEY_LEN]);
void address_key_unpack(const uint8_t key[ADDRESS_KEY_LEN], union conn_address *address);

#endif
