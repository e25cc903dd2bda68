// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/hex.h"

#include <stdio.h>

void hex_print(char *text, const uint8_t *bytes, size_t len)
{
	*text = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}
