/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_ERROR_ALERT_H
#define KSPLIT_TLS_ERROR_ALERT_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>

/*
 * The fatal alert of the peer's that an entry of OpenSSL's error queue stands for: its description
 * (RFC 8446 6), or -1 when the error is our own side's. Reasons of received alerts are those from
 * SSL_AD_REASON_OFFSET on (openssl/ssl.h); the reasons that all libraries share, as
 * ERR_R_INTERNAL_ERROR, have flags in higher bits and are above them (openssl/err.h).
 */
static inline int error_alert(unsigned long error)
{
	int description = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;

	if (ERR_GET_LIB(error) != ERR_LIB_SSL || description < 0 || description > UINT8_MAX)
		return -1;
	return description;
}

#endif
