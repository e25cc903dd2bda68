/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_CONSTRAINTS_H
#define KSPLIT_CA_CONSTRAINTS_H

#include <openssl/x509v3.h>
#include <stddef.h>

#include "options.h"

/*
 * The name constraints (RFC 5280 4.2.1.10) that the words of --permit and --exclude ask for: a
 * domain stands for itself and all below it, a network is ADDRESS/LENGTH. Constraints hold for each
 * kind of name by itself, so that a CA for domains alone could sign any address: where only one
 * kind is permitted, the other is excluded wholly.
 *
 * Returns 0 and *out, which the caller frees (NULL: no words, no constraints), or an enum ca_exit
 * with what is wrong said.
 */
int constraints_make(const struct words *permit, const struct words *exclude,
		     NAME_CONSTRAINTS **out);

/* One of them as --permit takes it ("all domains" for the empty one); returns buf. */
const char *constraints_text(const GENERAL_SUBTREE *subtree, char *buf, size_t len);

#endif
