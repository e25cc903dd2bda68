/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_URI_SEGMENT_H
#define KSPLIT_OBSERVE_URI_SEGMENT_H

#include <stddef.h>

/* More than the longest of what a segment can become: 40 characters, every digit run a {number}. */
#define URI_SEGMENT_MAX 128

/*
 * One piece of a URI (a path segment without its parameters, or a parameter's name) with ids,
 * tokens and whatever is not a plain name folded; the rules are in docs/metrics.md. `text` need not
 * end with a NUL and is still percent-encoded. Writes printable ASCII with a NUL to `out`; returns
 * the length.
 */
size_t uri_segment_fold(const char *text, size_t len, char out[URI_SEGMENT_MAX]);

#endif
