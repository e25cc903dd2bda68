/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_RECORD_SEAL_H
#define KSPLIT_TLS_RECORD_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/key_schedule.h"

#define TLS_RECORD_SEAL_OVERHEAD 64 /* header, explicit nonce, inner type, tag: never more */

/*
 * Seal one record by hand. OpenSSL has no call that sends an alert other than close_notify, and a
 * relay that works in user space has to forward the peer's alert as it is; and what the kernel has
 * opened may have to be read by OpenSSL after all (tls/ticket_feed.h).
 * (RFC 8446 5.2 and 5.3, RFC 5246 6.2.3.3, RFC 5288 3, RFC 7905 2.)
 *
 * `keys` says what the next record of that direction would be sealed with; after success its
 * sequence number (and explicit nonce) are counted on. `type` is the content type; `in_len` at
 * most 16384 bytes, `in` stays as it is and may not overlap `out`.
 * Returns the record's length in `out`, or -EINVAL (unknown keys, `in` too long, sequence number
 * used up), -ENOSPC (cap < in_len + TLS_RECORD_SEAL_OVERHEAD), -EIO (OpenSSL failed).
 */
ssize_t tls_record_seal(struct tls_keys *keys, uint8_t type, const uint8_t *in, size_t in_len,
			uint8_t *out, size_t cap);

#endif
