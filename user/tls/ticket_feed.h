/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_TICKET_FEED_H
#define KSPLIT_TLS_TICKET_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "tls/session.h"

/*
 * Session tickets of TLS 1.3 come after the handshake (RFC 8446 4.6.1), when the kernel reads the
 * socket already. What OpenSSL needs to make a session of one (the resumption secret) it tells
 * nobody, so its SSL object stays for a while, and the records that the kernel opened are sealed
 * again for it, with the key and the sequence number that it expects.
 */

/*
 * Both directions of a TLS 1.3 client's session are the kernel's by now: keep the SSL object for
 * tickets. Gives back what memory it does not need for that. False: it is of no use.
 */
bool tls_ticket_feed_begin(struct tls_session *session);

/*
 * Let OpenSSL read the content of one handshake record that has no KeyUpdate in it. 0, or -errno:
 * it is of no use any more.
 */
int tls_ticket_feed(struct tls_session *session, const uint8_t *content, size_t len);

/* Enough: free the SSL object. The receive secret is wiped unless it is needed to follow a
 * KeyUpdate. */
void tls_ticket_feed_end(struct tls_session *session, const struct ktls_support *support);

#endif
