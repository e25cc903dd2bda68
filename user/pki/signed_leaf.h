/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNED_LEAF_H
#define KSPLIT_PKI_SIGNED_LEAF_H

#include <stddef.h>
#include <stdint.h>

/* What a CA has signed, as DER. Who owns the bytes is said where one is passed. */
struct signed_leaf {
	uint8_t *cert;
	size_t cert_len;
	uint8_t *staple; /* an OCSP response that says of it that it is revoked; NULL: none */
	size_t staple_len;
};

#endif
