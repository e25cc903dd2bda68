/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_STORE_H
#define KSPLIT_CA_STORE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "authority.h"
#include "options.h"

/* What is asked of each store. */
enum store_task { STORE_FIND, STORE_INSTALL, STORE_REMOVE };

struct store_job {
	enum store_task task;
	X509 *cert;                  /* NULL: every CA that ksplit-ca has put there (remove) */
	char label[AUTHORITY_LABEL]; /* of cert, or "" */
	char *pem;                   /* of cert, or NULL */
	const char *nss_password, *java_password; /* files, or NULL */
};

enum store_result {
	STORE_DONE,  /* put there, taken out; it is there (find) */
	STORE_SO,    /* nothing to do: was there, or was not; it is not there (find) */
	STORE_FAILED /* said why */
};

/* Where each store's result goes: its kind ("debian", "nss" ...) and the file or folder in it. */
struct store_report {
	void (*tell)(void *ctx, const char *kind, const char *where, enum store_result result);
	void *ctx;
	unsigned int stores, failed; /* counted by store_tell */
};
void store_tell(struct store_report *report, const char *kind, const char *where,
		enum store_result result);

/*
 * Fill a job for a certificate (NULL as above), which stays the caller's and has to live as long.
 * 0 or CA_FAILED, said. store_job_free frees what it holds.
 */
int store_job_fill(struct store_job *job, enum store_task task, X509 *cert,
		   const struct options *options);
void store_job_free(struct store_job *job);

/* Do it in each store that the options name; an enum ca_exit. */
int store_each(const struct store_job *job, const struct options *options,
	       struct store_report *report);

/* The host's own stores, each that is present. 0, or CA_FAILED where there is none, said. */
int anchor_each(const struct store_job *job, struct store_report *report);

/* One NSS database, one keystore. */
enum store_result nss_do(const struct store_job *job, const char *folder);
enum store_result java_do(const struct store_job *job, const char *keystore);

/*
 * Every database of a user's browsers; CA_FAILED where there is none, said.
 */
int nss_each_of(const struct store_job *job, const char *user, struct store_report *report);

/*
 * As whoever owns `path`, when root does it: what lies in other users' folders cannot lead root's
 * hand elsewhere, and what is written belongs to them.
 */
enum store_result store_as_owner(enum store_result (*act)(const struct store_job *job,
							  const char *path),
				 const struct store_job *job, const char *path);

#endif
