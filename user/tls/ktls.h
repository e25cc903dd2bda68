/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_KTLS_H
#define KSPLIT_TLS_KTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/key_schedule.h"
#include "tls/protocol.h"

enum ktls_direction { KTLS_TX, KTLS_RX };

/*
 * What the running kernel accepts, found by trying on loopback pairs.
 * First index: version 0x0303 is 0, 0x0304 is 1; second: enum tls_aead.
 */
struct ktls_support {
	bool ulp;      /* TCP_ULP "tls" is there */
	int ulp_errno; /* why not (positive errno), 0 when it is */
	bool tx[2][4];
	bool rx[2][4];
	bool rekey; /* keys of a TLS 1.3 socket can be replaced (6.14 and later) */
};

/*
 * Try everything above on throw-away sockets on 127.0.0.1 (net/tls/tls_main.c is what answers).
 * Loads the tls module where the kernel autoloads it, and counts in /proc/net/tls_stat: six
 * sockets at most. 0 also when nothing is supported; -errno when a pair cannot be made.
 */
int ktls_probe(struct ktls_support *support);

/*
 * Put the TLS ULP on a connected socket; both directions pass bytes as they are until keys come
 * (tcp(7), Documentation/networking/tls.rst). 0 or -errno: -ENOENT no kernel TLS, -ENOTCONN not
 * ESTABLISHED, -EEXIST already there.
 */
int ktls_install_ulp(int fd);

/*
 * Hand one direction's keys to the kernel, first time or (TLS 1.3, kernels that can) again. `keys`
 * stays the caller's, who wipes it; our copies are wiped. 0 or -errno: -EINVAL unknown version,
 * cipher or the socket is in a sockmap; -EBUSY keys are there already and this kernel or version
 * cannot replace them; -ENOPROTOOPT no ULP on the socket; -ENOENT no such crypto driver ...
 */
int ktls_push_keys(int fd, enum ktls_direction direction, const struct tls_keys *keys);

/*
 * Bytes of plaintext that a record sent may have from now on, for a peer that takes no larger ones
 * (64 ... 16384; TLS_TX_MAX_PAYLOAD_LEN, 6.19 and later). Before the transmit keys are there. 0 or
 * -errno: -ENOPROTOOPT this kernel cannot.
 */
int ktls_limit_records(int fd, uint16_t bytes);

/*
 * recvmsg on a socket with receive keys, never blocking: up to `len` plaintext bytes of one content
 * type (TLS_GET_RECORD_TYPE). Returns bytes (0: FIN, or an empty record when *type is set) and
 * *type (0 when the kernel named none), or -errno: -EAGAIN, -EBADMSG (tag), -EKEYEXPIRED
 * (KeyUpdate seen, new keys wanted), -EINVAL or -EMSGSIZE (bogus header) ...
 * From 6.14 a KeyUpdate record blocks its direction: poll(2) reports nothing more, whatever the
 * peer sends, until the new keys are pushed. So push them when that record is read.
 */
ssize_t ktls_recv_record(int fd, void *buf, size_t len, uint8_t *type);

/*
 * Send one record of another content type than data (TLS_SET_RECORD_TYPE), never blocking, no
 * SIGPIPE. Returns bytes or -errno.
 */
ssize_t ktls_send_record(int fd, uint8_t type, const void *buf, size_t len);

#endif
