/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_HTTP1_SHAPE_H
#define KSPLIT_OBSERVE_HTTP1_SHAPE_H

#include "observe/http1_head.h"

/*
 * Read a head that has the one shape nearly all have: a common method, a target that begins with a
 * slash, HTTP/1.0 or 1.1, fields of printable ASCII among those that samplers pass on, each at most
 * once, and the empty line. False: it has another shape, be it right or wrong; http_parser judges.
 * What is read is what http_parser reads (tests/unit/test_http1_shape.c compares them).
 */
bool http1_shape_read(struct http1_head *out, bool request, const char *text, size_t len);

#endif
