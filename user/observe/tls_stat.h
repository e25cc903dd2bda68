/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_OBSERVE_TLS_STAT_H
#define KSPLIT_OBSERVE_TLS_STAT_H

#include <stddef.h>
#include <stdint.h>

#define TLS_STAT_MAX      32
#define TLS_STAT_NAME_MAX 32

/*
 * The kernel's own count of kernel TLS in this network namespace: /proc/net/tls_stat
 * (Documentation/networking/tls.rst "Statistics"; net/tls/tls_proc.c). Names are the kernel's:
 * "TlsCurrTxSw", "TlsDecryptError" ...
 */
struct tls_stat {
	size_t len;
	struct {
		char name[TLS_STAT_NAME_MAX];
		uint64_t value;
	} counters[TLS_STAT_MAX];
};

/* Read the file. 0 or -errno (-ENOENT: a kernel without kernel TLS, or its module is not loaded).
 */
int tls_stat_read(struct tls_stat *out);

/*
 * Lines of a name, blanks and a number; others are passed over, as are more than TLS_STAT_MAX and
 * names too long to keep. `text` is terminated by a NUL.
 */
void tls_stat_parse(const char *text, struct tls_stat *out);

#endif
