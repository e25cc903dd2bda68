/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_BASE_HEX_H
#define KSPLIT_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Two lower-case digits for each byte, and a NUL: `text` has room for 2 * len + 1. */
void hex_print(char *text, const uint8_t *bytes, size_t len);

#endif
