/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TAP_CONTENT_NAME_H
#define KSPLIT_TAP_CONTENT_NAME_H

#include <stddef.h>

#include "tap/tap_about.h"

/*
 * Names of content files: a path with
 *   %T time that the connection began, 20260131T120000Z   %D its date, 20260131
 *   %i number of the connection                           %s SNI, "none" without one
 *   %c client's address  %p its port                      %o origin's address  %r its port
 *   %% a percent sign
 * What a peer has chosen becomes letters, digits, '.', '-' and '_' alone, does not begin with a
 * dot and is at most 100 bytes long: never a '/' or "..".
 */

/* NULL, or what is wrong with a pattern, to follow "expected ". It must begin with '/', have %i. */
const char *content_name_check(const char *pattern);

/* The path of a connection's files, without what tells the direction. 0 or -ENAMETOOLONG. */
int content_name_expand(const char *pattern, const struct tap_about *about, char *out,
			size_t out_len);

/* How many bytes at the front of a pattern are a folder that has to be there: up to the last '/'
 * before the first '%'. */
size_t content_name_fixed(const char *pattern);

#endif
