/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_METRICS_PAGE_H
#define KSPLIT_EXPORT_METRICS_PAGE_H

#include <stddef.h>
#include <stdint.h>

/* user/export/web/page.html, which the assembler puts into the program (web/page.S). */
extern const char metrics_page[];
extern const uint64_t metrics_page_len;

/*
 * The Content-Security-Policy that lets a browser run this page's own script and style, known by
 * their SHA-256 (CSP Level 3, "hash-source"), speak to where it came from, and nothing else. Freed
 * by the caller with free(3). NULL: out of memory.
 */
char *metrics_page_policy(void);

#endif
