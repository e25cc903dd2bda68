/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_ANCHOR_H
#define KSPLIT_CA_ANCHOR_H

#include <stdbool.h>

#include "label.h"
#include "program.h"
#include "store.h"

/* A distribution's trust store: a folder for the administrator's own CAs, and a program that makes
 * from it what programs read. */
struct anchor {
	const char *kind;
	const char *folder;
	const char *program;
	const char *argument;        /* of program, or NULL */
	const char *bundle;          /* what it makes: every trusted CA in one PEM file */
	const char *links;           /* ca-certificates' folder of links, or NULL */
	const char *hooks;           /* and its hooks */
	char path[PROGRAM_PATH_MAX]; /* of program, on this host */
};

/* Every store that is here: folder and program. Into `found`, at most `max`; returns how many. */
size_t anchor_find(struct anchor *found, size_t max);

/* Is the certificate in the PEM file? */
bool anchor_bundle_has(const struct anchor *anchor, X509 *cert);

/* Make the bundle anew. 0 or -1, said. */
int anchor_update(const struct anchor *anchor);

/*
 * Take these labels out of the folder and of whatever was made from it. A link of ca-certificates
 * outlives its certificate by itself, and hooks (Java's) are never told: this does both.
 */
enum store_result anchor_remove(const struct anchor *anchor, const struct labels *labels);

#endif
