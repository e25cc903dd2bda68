/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_KEY_GROUPS_H
#define KSPLIT_TLS_KEY_GROUPS_H

#include <openssl/ssl.h>

/*
 * Of its key exchange groups OpenSSL sends a key share of the first one alone; an origin that takes
 * another only asks for it, which costs a round trip (RFC 8446 4.1.4).
 */

/*
 * The group that a TLS 1.3 handshake was made with, as SSL_get_negotiated_group(3) has it; 0: none.
 */
int key_groups_used(SSL *ssl);

/*
 * An SSL object that has not begun, whose groups are those of `list`
 * (SSL_CTX_set1_groups_list(3)): its key share is to be of `group`, the others are offered behind
 * it. Nothing changes when it is first already, when the list does not have it, and when the list
 * itself says which shares to send (OpenSSL 3.5: "*").
 */
void key_groups_put_first(SSL *ssl, const char *list, int group);

#endif
