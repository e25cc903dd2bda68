/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_EMULATED_H
#define KSPLIT_TESTS_EMULATED_H

#include <stdbool.h>
#include <stdlib.h>

/*
 * Is this the test VM (tests/run tells)? There a test is worth what the kernel has to do with it:
 * what is OpenSSL's and ksplit's alone is tried on the host, in every combination.
 */
static inline bool is_emulated(void)
{
	const char *told = getenv("KSPLIT_TESTS_IN_VM");

	return told && told[0] == '1';
}

#endif
