// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/chain_time.h"

#include <stdbool.h>

static bool later(const ASN1_TIME *a, const ASN1_TIME *b)
{
	return ASN1_TIME_compare(a, b) == 1;
}

X509 *chain_time_narrow(X509 *cert, STACK_OF(X509) * chain)
{
	X509 *narrowed = X509_dup(cert);
	bool ok = narrowed != NULL;

	for (int i = 0; ok && i < sk_X509_num(chain); i++) {
		const X509 *above = sk_X509_value(chain, i);

		if (later(X509_get0_notBefore(above), X509_get0_notBefore(narrowed)))
			ok = X509_set1_notBefore(narrowed, X509_get0_notBefore(above));
		if (ok && later(X509_get0_notAfter(narrowed), X509_get0_notAfter(above)))
			ok = X509_set1_notAfter(narrowed, X509_get0_notAfter(above));
	}
	/* Else OpenSSL 3.0 writes, and digests, the DER that the copy was read from. */
	ok = ok && i2d_re_X509_tbs(narrowed, NULL) > 0;
	if (ok)
		return narrowed;
	X509_free(narrowed);
	return NULL;
}
