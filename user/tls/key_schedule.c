// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/key_schedule.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define GCM_SALT_LEN   4
#define IV_LEN         12
#define KEY_MAX        32
#define LABEL_PREFIX   "tls13 "
#define HKDF_LABEL_MAX 32 /* for our labels: 2 + 1 + 6 + strlen("traffic upd") + 1 */

enum kdf_hash { HASH_SHA256, HASH_SHA384, HASHES };

/* The digest and the mode stay in a context; only secret and info change from call to call. */
struct tls_kdf {
	EVP_KDF_CTX *expand[HASHES]; /* HKDF-Expand */
	EVP_KDF_CTX *prf[HASHES];    /* the TLS 1.2 PRF */
};

static const char *const hash_names[HASHES] = {
	[HASH_SHA256] = "SHA2-256",
	[HASH_SHA384] = "SHA2-384",
};

/* OSSL_PARAM takes no const; OpenSSL only reads what is set. */
static OSSL_PARAM param_octets(const char *key, const void *bytes, size_t len)
{
	return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)bytes, len);
}

static OSSL_PARAM param_digest(enum kdf_hash hash)
{
	return OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
						(char *)(uintptr_t)hash_names[hash], 0);
}

static int new_context(EVP_KDF *function, const OSSL_PARAM *params, EVP_KDF_CTX **out)
{
	*out = EVP_KDF_CTX_new(function);
	if (!*out)
		return -ENOMEM;
	return EVP_KDF_CTX_set_params(*out, params) > 0 ? 0 : -ENOSYS;
}

static int fill_contexts(struct tls_kdf *kdf, EVP_KDF *hkdf, EVP_KDF *prf)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;

	for (enum kdf_hash hash = 0; hash < HASHES; hash++) {
		OSSL_PARAM params[] = {
			param_digest(hash),
			OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
			OSSL_PARAM_construct_end(),
		};
		OSSL_PARAM prf_params[] = {param_digest(hash), OSSL_PARAM_construct_end()};
		int err = new_context(hkdf, params, &kdf->expand[hash]);

		if (!err)
			err = new_context(prf, prf_params, &kdf->prf[hash]);
		if (err)
			return err;
	}
	return 0;
}

int tls_kdf_new(struct tls_kdf **out)
{
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	EVP_KDF *prf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
	struct tls_kdf *kdf = calloc(1, sizeof(*kdf));
	int err = -ENOMEM;

	if (kdf)
		err = hkdf && prf ? fill_contexts(kdf, hkdf, prf) : -ENOSYS;
	/* The contexts hold references of their own. */
	EVP_KDF_free(hkdf);
	EVP_KDF_free(prf);
	if (err) {
		tls_kdf_free(kdf);
		return err;
	}
	*out = kdf;
	return 0;
}

void tls_kdf_free(struct tls_kdf *kdf)
{
	if (!kdf)
		return;
	for (enum kdf_hash hash = 0; hash < HASHES; hash++) {
		EVP_KDF_CTX_free(kdf->expand[hash]);
		EVP_KDF_CTX_free(kdf->prf[hash]);
	}
	free(kdf);
}

enum tls_aead tls_aead_by_suite(uint16_t suite)
{
	switch (suite) {
	case 0x1301: /* TLS_AES_128_GCM_SHA256 */
	case 0xc02b: /* TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 */
	case 0xc02f: /* TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 */
	case 0x009e: /* TLS_DHE_RSA_WITH_AES_128_GCM_SHA256 */
	case 0x009c: /* TLS_RSA_WITH_AES_128_GCM_SHA256 */ return TLS_AEAD_AES128_GCM;
	case 0x1302: /* TLS_AES_256_GCM_SHA384 */
	case 0xc02c: /* TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 */
	case 0xc030: /* TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 */
	case 0x009f: /* TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 */
	case 0x009d: /* TLS_RSA_WITH_AES_256_GCM_SHA384 */ return TLS_AEAD_AES256_GCM;
	case 0x1303: /* TLS_CHACHA20_POLY1305_SHA256 */
	case 0xcca8: /* TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 */
	case 0xcca9: /* TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 */
	case 0xccaa: /* TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256 */
		return TLS_AEAD_CHACHA20_POLY1305;
	default: return TLS_AEAD_NONE;
	}
}

size_t tls_aead_key_len(enum tls_aead aead)
{
	switch (aead) {
	case TLS_AEAD_AES128_GCM: return 16;
	case TLS_AEAD_AES256_GCM:
	case TLS_AEAD_CHACHA20_POLY1305: return 32;
	case TLS_AEAD_NONE: break;
	}
	return 0;
}

static bool hash_by_len(size_t len, enum kdf_hash *hash)
{
	*hash = len == 48 ? HASH_SHA384 : HASH_SHA256;
	return len == 32 || len == 48;
}

/*
 * Derive, and leave no secret behind in the context: setting another one wipes it, and unlike
 * EVP_KDF_CTX_reset that keeps the fetched digest.
 */
static int derive(EVP_KDF_CTX *ctx, const OSSL_PARAM *params, const char *secret_key, uint8_t *out,
		  size_t out_len)
{
	static const uint8_t zeros[TLS_SECRET_MAX];
	OSSL_PARAM blank[] = {
		param_octets(secret_key, zeros, sizeof(zeros)),
		OSSL_PARAM_construct_end(),
	};
	int derived = EVP_KDF_derive(ctx, out, out_len, params) > 0;
	int blanked = EVP_KDF_CTX_set_params(ctx, blank) > 0;

	return derived && blanked ? 0 : -EIO;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). */
static int expand_label(EVP_KDF_CTX *ctx, const struct tls_secret *secret, const char *label,
			uint8_t *out, size_t out_len)
{
	size_t prefix_len = strlen(LABEL_PREFIX);
	size_t label_len = strlen(label);
	uint8_t info[HKDF_LABEL_MAX];
	uint8_t *end = info;
	OSSL_PARAM params[3];

	*end++ = (uint8_t)(out_len >> 8);
	*end++ = (uint8_t)out_len;
	*end++ = (uint8_t)(prefix_len + label_len);
	memcpy(end, LABEL_PREFIX, prefix_len);
	memcpy(end + prefix_len, label, label_len);
	end += prefix_len + label_len;
	*end++ = 0;

	params[0] = param_octets(OSSL_KDF_PARAM_KEY, secret->bytes, secret->len);
	params[1] = param_octets(OSSL_KDF_PARAM_INFO, info, (size_t)(end - info));
	params[2] = OSSL_PARAM_construct_end();
	return derive(ctx, params, OSSL_KDF_PARAM_KEY, out, out_len);
}

int tls13_derive_keys(struct tls_kdf *kdf, const struct tls_secret *secret, enum tls_aead aead,
		      struct tls_keys *out)
{
	size_t key_len = tls_aead_key_len(aead);
	enum kdf_hash hash;
	int err;

	memset(out, 0, sizeof(*out));
	if (key_len == 0 || !hash_by_len(secret->len, &hash))
		return -EINVAL;
	out->version = 0x0304;
	out->aead = aead;
	err = expand_label(kdf->expand[hash], secret, "key", out->key, key_len);
	if (!err)
		err = expand_label(kdf->expand[hash], secret, "iv", out->iv, IV_LEN);
	if (err)
		tls_keys_wipe(out);
	return err;
}

int tls13_update_secret(struct tls_kdf *kdf, struct tls_secret *secret)
{
	struct tls_secret next = {.len = secret->len};
	enum kdf_hash hash;
	int err;

	if (!hash_by_len(secret->len, &hash))
		return -EINVAL;
	err = expand_label(kdf->expand[hash], secret, "traffic upd", next.bytes, next.len);
	if (!err)
		*secret = next;
	tls_secret_wipe(&next);
	return err;
}

/* key_block of RFC 5246 6.3. An AEAD has no MAC keys, so it is keys and then IVs. */
static int expand_key_block(EVP_KDF_CTX *ctx, enum kdf_hash hash, const uint8_t master[48],
			    const uint8_t client_random[32], const uint8_t server_random[32],
			    uint8_t *block, size_t block_len)
{
	static const char label[] = "key expansion";
	uint8_t seed[sizeof(label) - 1 + 64];
	OSSL_PARAM params[4];

	/*
	 * Seeds add up in a TLS1-PRF context (EVP_KDF-TLS1_PRF(7)): each derivation starts afresh.
	 */
	EVP_KDF_CTX_reset(ctx);
	memcpy(seed, label, sizeof(label) - 1);
	memcpy(seed + sizeof(label) - 1, server_random, 32);
	memcpy(seed + sizeof(label) - 1 + 32, client_random, 32);
	params[0] = param_octets(OSSL_KDF_PARAM_SECRET, master, 48);
	params[1] = param_octets(OSSL_KDF_PARAM_SEED, seed, sizeof(seed));
	params[2] = param_digest(hash);
	params[3] = OSSL_PARAM_construct_end();
	return derive(ctx, params, OSSL_KDF_PARAM_SECRET, block, block_len);
}

/* One direction of TLS 1.2 after its Finished. */
static void set_tls12_keys(struct tls_keys *keys, enum tls_aead aead, const uint8_t *key,
			   const uint8_t *iv, size_t iv_len)
{
	memset(keys, 0, sizeof(*keys));
	keys->version = 0x0303;
	keys->aead = aead;
	keys->seq = 1;
	memcpy(keys->key, key, tls_aead_key_len(aead));
	memcpy(keys->iv, iv, iv_len);
	/* RFC 5288 3: the explicit nonce may be the sequence number. */
	if (iv_len == GCM_SALT_LEN)
		keys->iv[IV_LEN - 1] = 1;
}

int tls12_derive_keys(struct tls_kdf *kdf, const uint8_t master[48],
		      const uint8_t client_random[32], const uint8_t server_random[32],
		      size_t prf_hash_len, enum tls_aead aead, struct tls_keys *client_write,
		      struct tls_keys *server_write)
{
	size_t key_len = tls_aead_key_len(aead);
	size_t iv_len = aead == TLS_AEAD_CHACHA20_POLY1305 ? IV_LEN : GCM_SALT_LEN;
	uint8_t block[2 * (KEY_MAX + IV_LEN)];
	const uint8_t *ivs = block + 2 * key_len;
	enum kdf_hash hash;
	int err;

	memset(client_write, 0, sizeof(*client_write));
	memset(server_write, 0, sizeof(*server_write));
	if (key_len == 0 || !hash_by_len(prf_hash_len, &hash))
		return -EINVAL;
	err = expand_key_block(kdf->prf[hash], hash, master, client_random, server_random, block,
			       2 * (key_len + iv_len));
	if (!err) {
		set_tls12_keys(client_write, aead, block, ivs, iv_len);
		set_tls12_keys(server_write, aead, block + key_len, ivs + iv_len, iv_len);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return err;
}

void tls_keys_wipe(struct tls_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

void tls_secret_wipe(struct tls_secret *secret)
{
	OPENSSL_cleanse(secret, sizeof(*secret));
}
