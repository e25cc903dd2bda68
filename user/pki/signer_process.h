/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_PROCESS_H
#define KSPLIT_PKI_SIGNER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "pki/ca.h"

struct signer_options {
	const struct ca *ca; /* not owned */
	const char *cert_file; /* where it came from, for messages */
	const char *key_file;
	const char *user; /* whom the signing process becomes when it is started as root */
	uint32_t rate;	  /* signatures a second, and as many at once; >= 1 */
	bool dies_with_parent; /* the process that starts it is the daemon itself */
};

/*
 * The signing process from its first to its last moment: loads the key, gives up all else, then
 * answers requests (pki/signer_message.h) on `fd` until the other end is closed.
 */
_Noreturn void signer_process(const struct signer_options *options, int fd);

/* Say on `fd`, in place of the first message, why there is no signing process, and end this one. */
_Noreturn void signer_process_refuse(int fd, int err, const char *error);

#endif
