/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_URI_TEMPLATE_H
#define KSPLIT_OBSERVE_URI_TEMPLATE_H

#include <stddef.h>

#define URI_TEMPLATE_MAX 256

/*
 * A path with whatever tells one user or thing from another folded, so that a service has tens of
 * URIs and not millions, and so that no secret stays in one: "/users/42/orders/9f86d081884c7d65" is
 * "/users/{number}/orders/{hex}". A segment becomes {number}, {uuid}, {hex} (8 and more hexadecimal
 * digits, at least one of them a decimal digit), {email} or {token} (long, or a mix of letters and
 * digits as keys and tokens have it; what is percent-encoded beyond a plain name; ...); others
 * stay. Query parameters keep their names, sorted, without values: "?page&q". Control characters
 * and what is not printable ASCII never get through. The rules, each with examples:
 * docs/metrics.md.
 *
 * Writes at most URI_TEMPLATE_MAX bytes with the NUL to `out` (longer ones end in "{...}"); returns
 * the length.
 */
size_t uri_template(const char *path, char out[URI_TEMPLATE_MAX]);

/*
 * The same of a path whose end is not there. Its last part may be a piece of anything, too short to
 * be folded: it goes, and "{...}" stands for the rest.
 */
size_t uri_template_cut(const char *path, char out[URI_TEMPLATE_MAX]);

#endif
