/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_CHAIN_TIME_H
#define KSPLIT_PKI_CHAIN_TIME_H

#include <openssl/x509.h>

/*
 * A copy of a certificate that is valid only while all of `chain` are, too (RFC 5280 6.1.3): a leaf
 * made from it is over when the chain is. Its signature is that of the original and not good for
 * it. Caller owns it. NULL: out of memory.
 */
X509 *chain_time_narrow(X509 *cert, STACK_OF(X509) * chain);

#endif
