/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_KTLS_H
#define KSPLIT_DOCTOR_KTLS_H

#include <linux/tls.h>
#include <stdint.h>

#include "pair.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* The ULP on one socket. 0; -ENOPKG: this kernel has no TLS (it says ENOENT, as of a cipher that it
 * has not); other -errno. */
int ktls_ulp(int fd);

/*
 * Give a socket that has the ULP the keys of one direction (TLS_TX, TLS_RX): all bytes `fill`,
 * sequence number 0, so that two sockets with the same fill understand each other. 0 or -errno.
 */
int ktls_keys(int fd, int direction, uint16_t version, uint16_t cipher, uint8_t fill);

/* A pair whose connected end seals and whose accepted end opens. 0 or -errno. */
int ktls_pair(struct pair *pair, uint16_t version, uint16_t cipher);

#endif
