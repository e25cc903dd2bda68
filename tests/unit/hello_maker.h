/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_HELLO_MAKER_H
#define KSPLIT_TESTS_HELLO_MAKER_H

/* ClientHellos by recipe, in any records (RFC 8446 4.1.2, 5.1). After cmocka.h. */

#include <stdbool.h>
#include <string.h>

#include "tls/client_hello.h"

#define HELLO_WIRE_MAX (2 * CLIENT_HELLO_MAX_WIRE)

struct hello_bytes {
	uint8_t at[HELLO_WIRE_MAX];
	size_t len;
};

static inline void hello_put8(struct hello_bytes *to, unsigned int value)
{
	assert_true(to->len < sizeof(to->at));
	to->at[to->len++] = (uint8_t)value;
}

static inline void hello_put16(struct hello_bytes *to, unsigned int value)
{
	hello_put8(to, value >> 8);
	hello_put8(to, value & 0xff);
}

static inline void hello_put(struct hello_bytes *to, const void *from, size_t len)
{
	assert_true(to->len + len <= sizeof(to->at));
	memcpy(to->at + to->len, from, len);
	to->len += len;
}

static inline void hello_put_zeros(struct hello_bytes *to, size_t len)
{
	while (len--)
		hello_put8(to, 0);
}

/* Where lengths were written, so that a test can falsify each of them. */
struct hello_lengths {
	size_t at[64], width[64];
	size_t count;
};

/* Leave room for a length of `width` bytes; hello_put_close fills it in. */
static inline size_t hello_put_open(struct hello_bytes *to, size_t width,
				    struct hello_lengths *lengths)
{
	if (lengths) {
		lengths->at[lengths->count] = to->len;
		lengths->width[lengths->count++] = width;
	}
	hello_put_zeros(to, width);
	return to->len;
}

static inline void hello_put_close(struct hello_bytes *to, size_t width, size_t start)
{
	size_t len = to->len - start;

	for (size_t i = 0; i < width; i++)
		to->at[start - 1 - i] = (uint8_t)(len >> (8 * i));
}

/* What a hand-made hello holds. A string that is NULL: no such extension. */
struct hello_recipe {
	unsigned int legacy_version;
	const char *sni;
	const char *sni_second;  /* another name in the same list */
	const char *alpn;        /* names with a comma between them */
	const uint16_t *ciphers; /* ends with 0 */
	const uint16_t *versions;
	size_t key_share; /* bytes of one share */
	size_t cipher_padding;
	const char *status_request; /* the bytes inside */
	bool no_extensions, early_data, grease, sni_twice, psk_last, psk_first;
	bool post_handshake_auth;
	size_t post_handshake_auth_len; /* it is empty, by right */
};

static const uint16_t hello_ciphers[] = {0x1301, 0x1302, 0xc02b, 0};
static const uint16_t hello_versions[] = {0x0304, 0x0303, 0};

static inline void hello_put_sni(struct hello_bytes *to, const char *name, const char *second,
				 struct hello_lengths *lengths)
{
	size_t ext, list, one;

	hello_put16(to, 0);
	ext = hello_put_open(to, 2, lengths);
	list = hello_put_open(to, 2, lengths);
	for (int i = 0; i < (second ? 2 : 1); i++) {
		hello_put8(to, 0);
		one = hello_put_open(to, 2, lengths);
		hello_put(to, i ? second : name, strlen(i ? second : name));
		hello_put_close(to, 2, one);
	}
	hello_put_close(to, 2, list);
	hello_put_close(to, 2, ext);
}

static inline void hello_put_alpn(struct hello_bytes *to, const char *names,
				  struct hello_lengths *lengths)
{
	size_t ext, list, one;

	hello_put16(to, 16);
	ext = hello_put_open(to, 2, lengths);
	list = hello_put_open(to, 2, lengths);
	for (;;) {
		size_t len = strcspn(names, ",");

		one = hello_put_open(to, 1, lengths);
		hello_put(to, names, len);
		hello_put_close(to, 1, one);
		if (names[len] == '\0')
			break;
		names += len + 1;
	}
	hello_put_close(to, 2, list);
	hello_put_close(to, 2, ext);
}

static inline void hello_put_versions(struct hello_bytes *to, const struct hello_recipe *recipe,
				      struct hello_lengths *lengths)
{
	size_t ext, list;

	hello_put16(to, 43);
	ext = hello_put_open(to, 2, lengths);
	list = hello_put_open(to, 1, lengths);
	if (recipe->grease)
		hello_put16(to, 0xfafa);
	for (const uint16_t *version = recipe->versions; *version; version++)
		hello_put16(to, *version);
	hello_put_close(to, 1, list);
	hello_put_close(to, 2, ext);
}

static inline void hello_put_plain_extension(struct hello_bytes *to, unsigned int type, size_t len)
{
	hello_put16(to, type);
	hello_put16(to, (unsigned int)len);
	hello_put_zeros(to, len);
}

static inline void hello_put_extensions(struct hello_bytes *to, const struct hello_recipe *recipe,
					struct hello_lengths *lengths)
{
	size_t all = hello_put_open(to, 2, lengths);

	if (recipe->grease)
		hello_put_plain_extension(to, 0x8a8a, 0);
	if (recipe->psk_first)
		hello_put_plain_extension(to, 41, 8);
	if (recipe->sni)
		hello_put_sni(to, recipe->sni, recipe->sni_second, lengths);
	if (recipe->sni_twice)
		hello_put_sni(to, recipe->sni, NULL, lengths);
	if (recipe->alpn)
		hello_put_alpn(to, recipe->alpn, lengths);
	if (recipe->versions)
		hello_put_versions(to, recipe, lengths);
	if (recipe->key_share)
		hello_put_plain_extension(to, 51, recipe->key_share);
	if (recipe->status_request) {
		hello_put16(to, 5);
		hello_put16(to, (unsigned int)strlen(recipe->status_request));
		hello_put(to, recipe->status_request, strlen(recipe->status_request));
	}
	if (recipe->early_data)
		hello_put_plain_extension(to, 42, 0);
	if (recipe->post_handshake_auth)
		hello_put_plain_extension(to, 49, recipe->post_handshake_auth_len);
	if (recipe->grease)
		hello_put_plain_extension(to, 0xdada, 1);
	if (recipe->psk_last)
		hello_put_plain_extension(to, 41, 8);
	hello_put_close(to, 2, all);
}

/* The handshake message alone. */
static inline void hello_make_message(struct hello_bytes *to, const struct hello_recipe *recipe,
				      struct hello_lengths *lengths)
{
	const uint16_t *cipher = recipe->ciphers ? recipe->ciphers : hello_ciphers;
	size_t message, list;

	to->len = 0;
	hello_put8(to, 1);
	message = hello_put_open(to, 3, lengths);
	hello_put16(to, recipe->legacy_version ? recipe->legacy_version : 0x0303);
	hello_put_zeros(to, 32);
	list = hello_put_open(to, 1, lengths);
	hello_put_zeros(to, 32);
	hello_put_close(to, 1, list);
	list = hello_put_open(to, 2, lengths);
	if (recipe->grease)
		hello_put16(to, 0x3a3a);
	for (size_t i = 0; i < recipe->cipher_padding; i++)
		hello_put16(to, (unsigned int)(0x4001 + i));
	for (; *cipher; cipher++)
		hello_put16(to, *cipher);
	hello_put16(to, 0x00ff);
	hello_put_close(to, 2, list);
	list = hello_put_open(to, 1, lengths);
	hello_put8(to, 0);
	hello_put_close(to, 1, list);
	if (!recipe->no_extensions)
		hello_put_extensions(to, recipe, lengths);
	hello_put_close(to, 3, message);
}

static inline void hello_put_record(struct hello_bytes *to, const uint8_t *body, size_t len)
{
	hello_put8(to, 22);
	hello_put16(to, 0x0301);
	hello_put16(to, (unsigned int)len);
	hello_put(to, body, len);
}

/* Cut a message into records of at most `size` bytes. */
static inline void hello_make_wire(struct hello_bytes *wire, const struct hello_bytes *message,
				   size_t size)
{
	wire->len = 0;
	for (size_t at = 0; at < message->len; at += size)
		hello_put_record(wire, message->at + at,
				 message->len - at < size ? message->len - at : size);
}

#endif
