/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_SELF_TEST_H
#define KSPLIT_CAPTURE_SELF_TEST_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/*
 * A call of ksplitd's own through one of its listeners, to an origin of its own: what is captured
 * goes the same way, but for the rules. The origin listens on 127.0.0.1 with a throw-away key and
 * certificate; the workers know the caller by its address, lead it to that origin and verify
 * nothing there, since nobody else can be behind either.
 */
struct self_test;

#define SELF_TEST_NAME "self-test.ksplit.invalid" /* RFC 6761 6.4: no origin has it */

/* Caller owns *out. 0 or -ENOMEM. */
int self_test_new(struct self_test **out);
void self_test_free(struct self_test *test);

/*
 * Any thread: is this client the self-test's caller? Then its destination is copied to `out` (large
 * enough for any address).
 */
bool self_test_destination(struct self_test *test, const struct sockaddr *client,
			   struct sockaddr *out);

/*
 * Call `listener` (an address any is called on loopback), make a TLS handshake with the name above,
 * and have one byte come back from the origin. The leaf has to be signed by `ca` (NULL:
 * there is none), or to be the origin's own (passed through). Blocks for at most about three times
 * `timeout_ms`; one call at a time. 0, or -errno with a sentence in `error`.
 */
int self_test_run(struct self_test *test, const struct sockaddr *listener, X509 *ca, int timeout_ms,
		  char *error, size_t error_len);

#endif
