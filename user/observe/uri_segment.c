// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/uri_segment.h"

#include <stdbool.h>
#include <string.h>

#define LONG_SEGMENT 40 /* characters of a name, after decoding */
#define LONG_MIX     16 /* letters and digits: a token from here on */
#define SHORT_MIX    8  /* ... and from here on when they alternate as in random text */
#define HEX_DIGITS   8
#define NUMBER_RUN   4
#define STAMP_DIGITS 8 /* a date without separators */
#define UUID_LEN     36

/* Not <ctype.h>: that depends on the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
	return is_lower(c) || is_upper(c);
}

static bool is_alnum(char c)
{
	return is_letter(c) || is_digit(c);
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return (is_lower(c) ? c - 'a' : c - 'A') + 10;
}

static size_t put(char out[URI_SEGMENT_MAX], size_t at, const char *text, size_t len)
{
	if (len > URI_SEGMENT_MAX - 1 - at)
		len = URI_SEGMENT_MAX - 1 - at;
	memcpy(out + at, text, len);
	out[at + len] = '\0';
	return at + len;
}

static size_t put_string(char out[URI_SEGMENT_MAX], size_t at, const char *text)
{
	return put(out, at, text, strlen(text));
}

/*
 * Percent-encoded unreserved characters are the characters themselves (RFC 3986 6.2.2.2); what else
 * is encoded, or not allowed in a URI at all, is no plain name. Returns the length; 0: none.
 */
static size_t decode(const char *text, size_t len, char out[LONG_SEGMENT + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool plain = is_alnum(c) || is_one_of(c, "-._~!$&'()*+,:[]");

		if (c == '%' && i + 2 < len && is_hex(text[i + 1]) && is_hex(text[i + 2])) {
			c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
			plain = is_alnum(c) || is_one_of(c, "-._~");
			i += 2;
		}
		if (!plain || n == LONG_SEGMENT)
			return 0;
		out[n++] = c;
	}
	out[n] = '\0';
	return n;
}

static bool has_at_sign(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '@')
			return true;
		if (len - i >= 3 && memcmp(text + i, "%40", 3) == 0)
			return true;
	}
	return false;
}

/* 8-4-4-4-12 hexadecimal digits (RFC 9562 4) at the start of a text that ends with a NUL. */
static bool starts_with_uuid(const char *text)
{
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return !is_alnum(text[UUID_LEN]);
}

/* Nothing but digits and what stands between them: "-1.5", "2024-01-02T10:20:30Z", "1,2,3". */
static bool is_number(const char *text)
{
	size_t digits = 0, letters = 0;

	for (; *text; text++) {
		if (is_digit(*text))
			digits++;
		else if (is_one_of(*text, "TZ"))
			letters++;
		else if (!is_one_of(*text, "-+.,:_~"))
			return false;
	}
	return digits > 0 && (letters == 0 || (letters <= 2 && digits >= STAMP_DIGITS));
}

/* What a run of letters and digits is made of. */
struct mix {
	size_t len, digits, lower, upper;
	size_t turns; /* between letter and digit */
	size_t words; /* as in camelCase; an acronym is a word with what follows */
	size_t mute;  /* of these without a vowel, acronyms left aside */
	bool hex;
};

static void mix_add_letter(struct mix *mix, char previous, char c, bool *vowel)
{
	bool starts = is_upper(c) ? !is_upper(previous) : !is_letter(previous);

	if (starts) {
		mix->words++;
		mix->mute++;
		*vowel = false;
	}
	if (!*vowel && is_one_of(c, "aeiouyAEIOUY")) {
		*vowel = true;
		mix->mute--;
	}
}

static struct mix mix_of(const char *text, size_t len)
{
	struct mix mix = {.len = len, .hex = true};
	bool vowel = true;

	for (size_t i = 0; i < len; i++) {
		char c = text[i], previous = i > 0 ? text[i - 1] : '\0';

		mix.digits += is_digit(c);
		mix.lower += is_lower(c);
		mix.upper += is_upper(c);
		mix.hex = mix.hex && is_hex(c);
		if (i > 0 && is_digit(c) != is_digit(previous))
			mix.turns++;
		if (is_letter(c))
			mix_add_letter(&mix, previous, c, &vowel);
	}
	return mix;
}

/* Letters and digits change places as in no name that a person gives: "dQw4w9WgXcQ", "a1b2c3d4". */
static bool is_scrambled(const struct mix *mix)
{
	if (mix->digits == 0 || mix->digits == mix->len)
		return false;
	return mix->turns >= 4 || (mix->turns >= 2 && mix->lower > 0 && mix->upper > 0);
}

/* Random letters: two in five of their "camelCase words" and more cannot be spoken. */
static bool is_unspeakable(const struct mix *mix)
{
	return mix->lower > 0 && mix->upper > 0 && mix->words >= 4 &&
	       mix->mute * 5 >= mix->words * 2;
}

static bool is_token(const struct mix *mix)
{
	if (mix->len >= LONG_MIX && mix->digits > 0 && mix->digits < mix->len)
		return true;
	if (mix->len >= LONG_MIX && is_unspeakable(mix))
		return true;
	return mix->len >= SHORT_MIX && is_scrambled(mix);
}

static size_t alnum_run(const char *text)
{
	size_t len = 0;

	while (is_alnum(text[len]))
		len++;
	return len;
}

/*
 * Base64url (RFC 4648 5) has "-" and "_" in its alphabet, so that a token can look like several
 * words. Text up to a character that is not of base64url; returns its length when it is a token,
 * else 0.
 */
static size_t base64url_token(const char *text)
{
	struct mix all = {0};
	bool scrambled = false;
	size_t len = 0;

	while (is_alnum(text[len]) || is_one_of(text[len], "-_")) {
		struct mix mix = mix_of(text + len, alnum_run(text + len));

		scrambled = scrambled || is_scrambled(&mix);
		all.lower += mix.lower;
		all.upper += mix.upper;
		all.words += mix.words;
		all.mute += mix.mute;
		len += mix.len > 0 ? mix.len : 1;
	}
	return len >= LONG_MIX && (scrambled || is_unspeakable(&all)) ? len : 0;
}

/* A run of letters and digits that is no token: long numbers within it fold. */
static size_t fold_digits(const char *text, size_t len, char out[URI_SEGMENT_MAX], size_t at)
{
	for (size_t i = 0; i < len;) {
		bool digit = is_digit(text[i]);
		size_t run = 1;

		while (i + run < len && is_digit(text[i + run]) == digit)
			run++;
		if (digit && run >= NUMBER_RUN)
			at = put_string(out, at, "{number}");
		else
			at = put(out, at, text + i, run);
		i += run;
	}
	return at;
}

static size_t fold_run(const char *text, size_t len, char out[URI_SEGMENT_MAX], size_t at)
{
	struct mix mix = mix_of(text, len);

	if (mix.hex && len >= HEX_DIGITS && mix.digits > 0 && mix.digits < len)
		return put_string(out, at, "{hex}");
	if (is_token(&mix))
		return put_string(out, at, "{token}");
	return fold_digits(text, len, out, at);
}

/* "order-12345", "bundle.9f86d081884c.js": a name with something foldable in it. */
static size_t fold_parts(const char *text, char out[URI_SEGMENT_MAX])
{
	size_t at = 0, i = 0;

	while (text[i]) {
		size_t run = alnum_run(text + i), token;

		if (run == 0) {
			at = put(out, at, text + i++, 1);
			continue;
		}
		token = base64url_token(text + i);
		if (starts_with_uuid(text + i)) {
			at = put_string(out, at, "{uuid}");
			run = UUID_LEN;
		} else if (token > run) {
			at = put_string(out, at, "{token}");
			run = token;
		} else {
			at = fold_run(text + i, run, out, at);
		}
		i += run;
	}
	return at;
}

/* A segment in plain characters. */
static size_t fold_plain(const char *plain, char out[URI_SEGMENT_MAX])
{
	if (is_number(plain))
		return put_string(out, 0, "{number}");
	/* The header of a JSON Web Token in base64url, always '{"' (RFC 7519 3.1). */
	if (strncmp(plain, "eyJ", 3) == 0 && strlen(plain) >= LONG_MIX)
		return put_string(out, 0, "{token}");
	return fold_parts(plain, out);
}

size_t uri_segment_fold(const char *text, size_t len, char out[URI_SEGMENT_MAX])
{
	char plain[LONG_SEGMENT + 1];
	size_t out_len;

	out[0] = '\0';
	if (len == 0)
		return 0;
	if (has_at_sign(text, len))
		return put_string(out, 0, "{email}");
	if (decode(text, len, plain) == 0)
		out_len = put_string(out, 0, "{token}");
	else
		out_len = fold_plain(plain, out);
	explicit_bzero(plain, sizeof(plain)); /* it may have been a secret */
	return out_len;
}
