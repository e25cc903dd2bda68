/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_PKI_SIGNER_H
#define KSPLIT_PKI_SIGNER_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pki/revocation.h"
#include "pki/signed_leaf.h"
#include "pki/signer_process.h"

/*
 * The daemon's end of a signing process, which alone has the CA's private key. When it dies,
 * requests fail with -EPIPE from then on.
 */
struct signer;

/*
 * Start the signing process and wait until it has the key. Before any thread exists and before
 * anything listens (fork(2)). Caller owns *out. 0, or -errno with one line in `error`.
 */
int signer_start(const struct signer_options *options, struct signer **out, char *error,
		 size_t error_len);

/*
 * The same with a signing process that somebody else has started (core/launcher.h): `fd` is its
 * socket and the signer's from now on, also after an error; `pid` its number. Waits for its key for
 * some seconds at most: -ETIMEDOUT.
 */
int signer_adopt(int fd, pid_t pid, struct signer **out, char *error, size_t error_len);

/* Start the thread that takes answers. 0 or -errno. */
int signer_listen(struct signer *signer);

/*
 * What became of a request, on the thread that takes answers: err 0 and what was signed, there for
 * the call alone; else NULL, and -EBUSY (ca.sign_rate); -EACCES (refused); -EPIPE (the process has
 * gone).
 */
typedef void (*signer_done_fn)(void *arg, int err, const struct signed_leaf *made);

/*
 * Have a TBSCertificate signed; where there is a `revocation` (NULL: there is not) with an OCSP
 * response that says of the certificate that it is revoked. Any thread; never waits. 0: `done` will
 * be called once, if need be by signer_stop. -EPIPE: the process has gone; -EBUSY: too many
 * requests are on their way; -EMSGSIZE, -ENOMEM.
 */
int signer_request(struct signer *signer, const uint8_t *tbs, size_t len,
		   const struct revocation *revocation, signer_done_fn done, void *arg);

/* How it signs: to be named in what it is given. Owned by the signer. */
const X509_ALGOR *signer_algorithm(const struct signer *signer);

/* Its number; 0 since it has gone. Any thread. */
pid_t signer_pid(const struct signer *signer);

/* What became of requests. */
struct signer_stats {
	uint64_t issued;  /* signed, and given to whoever asked */
	uint64_t busy;    /* too many: ca.sign_rate, or on their way */
	uint64_t refused; /* not a leaf that it signs */
	uint64_t failed;  /* it had gone, or there was no memory */
};

/* Any thread. */
void signer_read_stats(struct signer *signer, struct signer_stats *out);

/* End process and thread, fail what is on its way (-EPIPE), free. NULL allowed. */
void signer_stop(struct signer *signer);

#endif
