/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP_TEXT_H
#define KSPLIT_OBSERVE_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Wipe and free a string of those below. NULL allowed. */
void http_text_free(char *text);

/*
 * What is kept of a peer's bytes; the caller owns the result (NULL: no memory, or nothing to keep)
 * and frees it by http_text_free(). None holds a control character or a byte above 0x7e: in a path
 * they are percent-encoded (RFC 3986 2.1), elsewhere they become '_'.
 *
 * path: parameter names stay, their values, a fragment, and of an absolute URI scheme and authority
 * go; *cut is set when it did not fit. host: without user information, in lower case. type: without
 * parameters, in lower case.
 */
char *http_text_path(const char *text, size_t len, bool *cut);
char *http_text_host(const char *text, size_t len);
char *http_text_type(const char *text, size_t len);

/*
 * The same of short and plain texts, into `out`: a path without values in its query, a host without
 * user information or a type whose parameters the caller left out (name), of nothing but visible
 * ASCII. Returns the length; 0: it is not plain, or does not fit (whole words of eight bytes are
 * written), and `out` may have been written to.
 */
size_t http_text_short_path(char *out, size_t size, const char *text, size_t len);
size_t http_text_short_name(char *out, size_t size, const char *text, size_t len);

/*
 * Overwrite what http_text_path() and http_text_host() leave out; they make the same of the result.
 */
void http_text_mask_path(char *text, size_t len);
void http_text_mask_host(char *text, size_t len);

/* Into `out`, which has room for OBSERVE_METHOD_MAX. */
void http_text_method(char *out, const char *text, size_t len);

#endif
