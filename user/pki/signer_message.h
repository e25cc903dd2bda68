/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_MESSAGE_H
#define KSPLIT_PKI_SIGNER_MESSAGE_H

#include <stdint.h>

#include "pki/signer_verdict.h"

/*
 * What goes over the socket pair (SOCK_SEQPACKET: whole messages, in order) between the daemon and
 * its signing process, both of one program. The first message is the signing process's: verdict
 * SIGNED and the DER of its AlgorithmIdentifier, or FAILED, an errno and a line for people. Then a
 * request is a head and a TBSCertificate, and its answer has the same id, and the certificate when
 * it was signed.
 */
struct signer_head {
	uint64_t id;
	uint32_t verdict; /* enum signer_verdict; 0 in a request */
	int32_t err;	  /* errno of a failed start; else 0 */
};

/* Room for a signature and the head on top of what is signed. */
#define SIGNER_MESSAGE_MAX (SIGNER_TBS_MAX + 8192)

#endif
