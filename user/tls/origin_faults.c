// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_faults.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * Does its extended key usage say so? The leaf has the same. What else OpenSSL calls a wrong
 * purpose (key usage, Netscape's types) a leaf does not repeat.
 */
static bool excludes_servers(X509 *cert)
{
	return cert && X509_get_extension_flags(cert) & EXFLAG_XKUSAGE &&
	       !(X509_get_extended_key_usage(cert) & (XKU_SSL_SERVER | XKU_ANYEKU));
}

uint32_t origin_fault_of_error(int error, int depth, X509 *cert)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED: return depth ? ORIGIN_CHAIN_TIME : ORIGIN_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID: return depth ? ORIGIN_CHAIN_TIME : ORIGIN_NOT_YET_VALID;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return ORIGIN_NAME;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return ORIGIN_SELF_SIGNED;
	case X509_V_ERR_CERT_REVOKED: return ORIGIN_REVOKED;
	case X509_V_ERR_EE_KEY_TOO_SMALL: return ORIGIN_WEAK_KEY;
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK: return ORIGIN_WEAK_SIGNATURE;
	case X509_V_ERR_INVALID_PURPOSE:
		return depth == 0 && excludes_servers(cert) ? ORIGIN_PURPOSE : ORIGIN_UNTRUSTED;
	default: return ORIGIN_UNTRUSTED;
	}
}

uint8_t origin_faults_alert(uint32_t faults)
{
	if (faults & ORIGIN_PIN)
		return SSL_AD_CERTIFICATE_UNKNOWN;
	if (faults & ORIGIN_REVOKED)
		return SSL_AD_CERTIFICATE_REVOKED;
	if (faults & (ORIGIN_UNTRUSTED | ORIGIN_SELF_SIGNED))
		return SSL_AD_UNKNOWN_CA;
	if (faults & (ORIGIN_EXPIRED | ORIGIN_NOT_YET_VALID | ORIGIN_CHAIN_TIME))
		return SSL_AD_CERTIFICATE_EXPIRED;
	return faults & ORIGIN_PURPOSE ? SSL_AD_UNSUPPORTED_CERTIFICATE : SSL_AD_BAD_CERTIFICATE;
}

const char *origin_faults_print(uint32_t faults, char *buf, size_t len)
{
	size_t used = 0;

	snprintf(buf, len, "none");
	for (unsigned int i = 0; i < KSPLIT_ORIGIN_FAULT_COUNT && used < len; i++)
		if (faults & 1U << i)
			used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? ", " : "",
						 ksplit_origin_fault_name(i));
	return buf;
}
