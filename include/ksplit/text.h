/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TEXT_H
#define KSPLIT_TEXT_H

/*
 * Text that came from the network or from a file, made fit for a log line or a terminal. Shared by
 * the daemon and its tools.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Length in bytes of the UTF-8 sequence at `text` (RFC 3629, table in section 4: no overlong forms,
 * no surrogates, nothing above U+10FFFF) and its code point. 0: not UTF-8, or cut by `len`.
 */
static inline size_t ksplit_utf8_decode(const char *text, size_t len, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *b = (const unsigned char *)text;
	size_t n, i;

	if (len == 0)
		return 0;
	if (b[0] < 0x80) {
		*code = b[0];
		return 1;
	}
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	*code = b[0] & (0x7fU >> n);
	for (i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (b[i] & 0x3f);
	}
	if (*code < smallest[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

/*
 * May this code point be printed as it is? Not: C0 and C1 controls (terminals obey them), the line
 * and paragraph separators, and the bidirectional controls that reorder what is around them.
 */
static inline bool ksplit_text_printable(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	if (code == 0x061c || code == 0xfeff || (code >= 0x200e && code <= 0x200f))
		return false;
	return !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

/*
 * Copy `len` bytes of `text` into `out` (`size` bytes, always terminated), every byte of what is
 * not printable UTF-8 as \xNN. Never splits a sequence; what does not fit is left out. Returns how
 * many bytes of `text` were taken: less than `len` when it was cut.
 */
static inline size_t ksplit_text_escape(char *out, size_t size, const char *text, size_t len)
{
	size_t in = 0, used = 0, n, i;
	uint32_t code;

	while (in < len) {
		n = ksplit_utf8_decode(text + in, len - in, &code);
		if (n && ksplit_text_printable(code)) {
			if (used + n >= size)
				break;
			for (i = 0; i < n; i++)
				out[used++] = text[in++];
			continue;
		}
		if (used + 4 >= size)
			break;
		snprintf(out + used, 5, "\\x%02x", (unsigned int)(unsigned char)text[in++]);
		used += 4;
	}
	if (size)
		out[used] = '\0';
	return in;
}

#endif
