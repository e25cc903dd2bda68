/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_CERT_FACTS_H
#define KSPLIT_PKI_CERT_FACTS_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

/* What a person wants to know of a certificate. */
struct cert_facts {
	char name[256]; /* its CN, else its first DNS name, else "": bytes as they are, cut */
	size_t names;   /* in subjectAltName, of all types */
	char key[32];   /* "P-256", "RSA-2048", "ED25519" */
	int64_t from_s, until_s; /* validity, seconds since the epoch; 0: cannot be read */
};

/* Read them. What the certificate does not have, or has wrongly, is left empty. */
void cert_facts_read(X509 *cert, struct cert_facts *out);

#endif
