// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/record_seal.h"
#include "tls/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define HEADER_LEN         5
#define IV_LEN             12
#define GCM_SALT_LEN       4
#define EXPLICIT_NONCE_LEN 8
#define TAG_LEN            16
#define IN_MAX             16384 /* RFC 8446 5.1 */
#define AAD_MAX            13
#define OUTER_TYPE_TLS13   23 /* every protected TLS 1.3 record looks like application data */

/* What goes into the AEAD for one record. */
struct seal {
	uint8_t nonce[IV_LEN];
	uint8_t aad[AAD_MAX];
	int aad_len;
	const uint8_t *in;
	int in_len;
	uint8_t type;
	int type_len; /* 1: TLS 1.3, the content type is behind the content */
};

static const EVP_CIPHER *cipher_by_aead(enum tls_aead aead)
{
	switch (aead) {
	case TLS_AEAD_AES128_GCM: return EVP_aes_128_gcm();
	case TLS_AEAD_AES256_GCM: return EVP_aes_256_gcm();
	case TLS_AEAD_CHACHA20_POLY1305: return EVP_chacha20_poly1305();
	case TLS_AEAD_NONE: break;
	}
	return NULL;
}

static void put_be16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put_be64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void put_header(uint8_t *out, uint8_t type, size_t body_len)
{
	out[0] = type;
	put_be16(out + 1, VERSION_TLS12); /* on the wire in TLS 1.3 as well */
	put_be16(out + 3, body_len);
}

/* Only TLS 1.2 GCM sends a part of its nonce. */
static bool has_explicit_nonce(const struct tls_keys *keys)
{
	return keys->version == VERSION_TLS12 && keys->aead != TLS_AEAD_CHACHA20_POLY1305;
}

static void fill_nonce(struct seal *seal, const struct tls_keys *keys)
{
	uint8_t seq[8];

	memcpy(seal->nonce, keys->iv, IV_LEN);
	if (has_explicit_nonce(keys))
		return;
	put_be64(seq, keys->seq);
	for (size_t i = 0; i < sizeof(seq); i++)
		seal->nonce[IV_LEN - sizeof(seq) + i] ^= seq[i];
}

/* Write the record's header and explicit nonce to `out`. Returns where the ciphertext starts. */
static uint8_t *fill_tls12(struct seal *seal, const struct tls_keys *keys, uint8_t type,
			   const uint8_t *in, size_t in_len, uint8_t *out)
{
	size_t explicit_len = has_explicit_nonce(keys) ? EXPLICIT_NONCE_LEN : 0;

	put_header(out, type, explicit_len + in_len + TAG_LEN);
	memcpy(out + HEADER_LEN, keys->iv + GCM_SALT_LEN, explicit_len);
	put_be64(seal->aad, keys->seq);
	put_header(seal->aad + 8, type, in_len);
	seal->aad_len = 8 + HEADER_LEN;
	seal->in = in;
	seal->in_len = (int)in_len;
	return out + HEADER_LEN + explicit_len;
}

static uint8_t *fill_tls13(struct seal *seal, uint8_t type, const uint8_t *in, size_t in_len,
			   uint8_t *out)
{
	put_header(out, OUTER_TYPE_TLS13, in_len + 1 + TAG_LEN);
	memcpy(seal->aad, out, HEADER_LEN);
	seal->aad_len = HEADER_LEN;
	seal->in = in;
	seal->in_len = (int)in_len;
	seal->type = type;
	seal->type_len = 1;
	return out + HEADER_LEN;
}

/* Ciphertext and tag to `out`, in_len + type_len + TAG_LEN bytes. */
static int encrypt(const struct seal *seal, const struct tls_keys *keys, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	int ok;

	if (!ctx)
		return -EIO;
	ok = EVP_EncryptInit_ex(ctx, cipher_by_aead(keys->aead), NULL, keys->key, seal->nonce) &&
	     EVP_EncryptUpdate(ctx, NULL, &n, seal->aad, seal->aad_len) &&
	     EVP_EncryptUpdate(ctx, out, &n, seal->in, seal->in_len) &&
	     EVP_EncryptUpdate(ctx, out + seal->in_len, &n, &seal->type, seal->type_len) &&
	     EVP_EncryptFinal_ex(ctx, out + seal->in_len + seal->type_len, &n) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN,
				 out + seal->in_len + seal->type_len);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static void count_record(struct tls_keys *keys)
{
	keys->seq++;
	if (!has_explicit_nonce(keys))
		return;
	for (int i = IV_LEN - 1; i >= GCM_SALT_LEN; i--)
		if (++keys->iv[i] != 0)
			break;
}

ssize_t tls_record_seal(struct tls_keys *keys, uint8_t type, const uint8_t *in, size_t in_len,
			uint8_t *out, size_t cap)
{
	struct seal seal = {0};
	uint8_t *body;
	int err;

	if (tls_aead_key_len(keys->aead) == 0 || in_len > IN_MAX || keys->seq == UINT64_MAX ||
	    (keys->version != VERSION_TLS12 && keys->version != VERSION_TLS13))
		return -EINVAL;
	if (cap < in_len + TLS_RECORD_SEAL_OVERHEAD)
		return -ENOSPC;
	fill_nonce(&seal, keys);
	if (keys->version == VERSION_TLS13)
		body = fill_tls13(&seal, type, in, in_len, out);
	else
		body = fill_tls12(&seal, keys, type, in, in_len, out);
	err = encrypt(&seal, keys, body);
	if (!err)
		count_record(keys);
	err = err ? err : (int)(body - out) + seal.in_len + seal.type_len + TAG_LEN;
	OPENSSL_cleanse(&seal, sizeof(seal));
	return err;
}
