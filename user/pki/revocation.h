/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_REVOCATION_H
#define KSPLIT_PKI_REVOCATION_H

#include <stdint.h>

/* What an OCSP response says of a revoked certificate (RFC 6960 4.2.1, RevokedInfo). */
struct revocation {
	int64_t at;     /* seconds since the epoch */
	int32_t reason; /* CRLReason (RFC 5280 5.3.1); REVOCATION_NO_REASON: none is given */
};

#define REVOCATION_NO_REASON (-1) /* OCSP_REVOKED_STATUS_NOSTATUS */

/* 7 is not used; the rest ends with aACompromise. */
#define REVOCATION_REASON_OK(reason) ((reason) >= 0 && (reason) <= 10 && (reason) != 7)

#endif
