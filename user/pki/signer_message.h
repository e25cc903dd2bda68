/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_MESSAGE_H
#define KSPLIT_PKI_SIGNER_MESSAGE_H

#include <stdint.h>

#include "pki/signer_verdict.h"

/*
 * What goes over the socket pair (SOCK_SEQPACKET: whole messages, in order) between the daemon and
 * its signing process, both of one program. The first message is the signing process's: verdict
 * SIGNED and the DER of its AlgorithmIdentifier, or FAILED, an errno and a line for people. Then a
 * request is a signer_ask and a TBSCertificate, and its answer a signer_head with the same id, and,
 * when it was signed, the certificate and behind it the OCSP response, if one was asked for.
 */
struct signer_head {
	uint64_t id;
	uint32_t verdict;  /* enum signer_verdict */
	int32_t err;	   /* errno of a failed start; else 0 */
	uint64_t cert_len; /* bytes of the certificate */
};

struct signer_ask {
	uint64_t id;
	int64_t revoked_at; /* struct revocation; 0 for a leaf that is not to be revoked */
	int32_t reason;
	uint32_t revoked; /* 1: with a response that says so; else 0 */
};

/* Room for a response, signatures and the head on top of what is signed. */
#define SIGNER_MESSAGE_MAX (SIGNER_TBS_MAX + 8192)

#endif
