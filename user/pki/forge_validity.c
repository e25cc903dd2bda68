// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/forge_validity.h"

#include <errno.h>
#include <time.h>

#define DAY        (24 * 60 * 60)
#define HIDE_FROM  (-1 * DAY)
#define HIDE_UNTIL (7 * DAY)

/* NULL: a time cannot be read. Caller owns the result. */
static ASN1_TIME *clip_time(const ASN1_TIME *time, const ASN1_TIME *from, const ASN1_TIME *until)
{
	int below = ASN1_TIME_compare(time, from);
	int above = ASN1_TIME_compare(time, until);
	ASN1_TIME *clipped;

	if (below == -2 || above == -2)
		return NULL;
	clipped = ASN1_STRING_dup(below < 0 ? from : above > 0 ? until : time);
	if (clipped && ASN1_TIME_normalize(clipped) == 1)
		return clipped;
	ASN1_TIME_free(clipped);
	return NULL;
}

/*
 * What the leaf begins or ends with before it is clipped. `hide`: a time that keeps the origin from
 * being valid now gives way to now and `offset` seconds. Caller owns the result; NULL: no memory.
 */
static ASN1_TIME *mimic_time(const ASN1_TIME *origin, bool hide, long offset)
{
	time_t now = time(NULL);
	int side = ASN1_TIME_cmp_time_t(origin, now); /* -2: unreadable */

	if (hide && (side == -2 || (offset < 0 ? side > 0 : side < 0)))
		return ASN1_TIME_adj(NULL, now, 0, offset);
	return ASN1_STRING_dup(origin);
}

int forge_set_validity(X509 *leaf, const X509 *origin, const X509 *ca_cert, bool hide)
{
	const ASN1_TIME *from = X509_get0_notBefore(ca_cert);
	const ASN1_TIME *until = X509_get0_notAfter(ca_cert);
	ASN1_TIME *first = mimic_time(X509_get0_notBefore(origin), hide, HIDE_FROM);
	ASN1_TIME *last = mimic_time(X509_get0_notAfter(origin), hide, HIDE_UNTIL);
	ASN1_TIME *start = first ? clip_time(first, from, until) : NULL;
	ASN1_TIME *end = last ? clip_time(last, from, until) : NULL;
	int err = -EIO;

	if (!first || !last)
		err = -ENOMEM;
	else if (!start || !end)
		err = -ENOTSUP;
	else if (X509_set1_notBefore(leaf, start) == 1 && X509_set1_notAfter(leaf, end) == 1)
		err = 0;
	ASN1_TIME_free(first);
	ASN1_TIME_free(last);
	ASN1_TIME_free(start);
	ASN1_TIME_free(end);
	return err;
}
