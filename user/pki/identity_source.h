/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_IDENTITY_SOURCE_H
#define KSPLIT_PKI_IDENTITY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

/* Where an identity comes from, as the configuration says it. Strings are the configuration's. */
struct identity_source {
	char *cert; /* PEM: the certificate, then those above it */
	char *key;  /* PEM; may be the same file */
	char *ocsp; /* DER; NULL: no staple */
	/* Lower case, exact or "*.example.com"; from the certificate when there are none. */
	char **names;
	size_t names_len;
	bool is_default; /* for every name that no identity has, and for no name */
};

#endif
