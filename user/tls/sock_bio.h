/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_SOCK_BIO_H
#define KSPLIT_TLS_SOCK_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

#include "tls/out_buffer.h"

/*
 * The BIO between an SSL object and its socket. Unlike BIO_s_socket it gathers what OpenSSL writes
 * (one call a record) in an out_buffer and sends it when told: at the end of a handshake flight
 * (BIO_flush) or of a batch of records (sock_bio_send). Writes never fail with "try again" while
 * there is room, so an SSL object that works through it never wants to write.
 */

/*
 * One method for the process; made at start, freed at the end. Caller owns it. NULL: out of memory.
 */
BIO_METHOD *sock_bio_method_new(void);

/* A BIO over `fd` and `out`, neither owned: both must outlive it. NULL: out of memory. */
BIO *sock_bio_new(BIO_METHOD *method, int fd, struct out_buffer *out);

/*
 * The socket's transmit keys are in the kernel: bytes of OpenSSL's must not reach it any more, they
 * would be sealed a second time. Every later write fails for good.
 */
void sock_bio_forbid_writes(BIO *bio);

/* errno of the last recv(2) or send(2) that failed for good, positive; 0: none did. */
int sock_bio_errno(BIO *bio);

/* Did the last recv(2) return less than was asked for (or nothing)? Then the socket was drained. */
bool sock_bio_drained(BIO *bio);

#endif
