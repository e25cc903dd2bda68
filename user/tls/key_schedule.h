/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_KEY_SCHEDULE_H
#define KSPLIT_TLS_KEY_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#define TLS_SECRET_MAX 48 /* SHA-384 */

/* The record ciphers that kernel TLS and we have in common. */
enum tls_aead {
	TLS_AEAD_NONE,
	TLS_AEAD_AES128_GCM,
	TLS_AEAD_AES256_GCM,
	TLS_AEAD_CHACHA20_POLY1305
};

/* One direction's record protection. Secret: wipe with tls_keys_wipe. */
struct tls_keys {
	uint16_t version; /* 0x0303 or 0x0304 */
	enum tls_aead aead;
	uint8_t key[32];
	uint8_t iv[12]; /* TLS 1.2 GCM: 4 bytes of salt, then the next explicit nonce */
	uint64_t seq;   /* sequence number of the next record */
};

/* A TLS 1.3 traffic secret. Secret: wipe with tls_secret_wipe. */
struct tls_secret {
	uint8_t bytes[TLS_SECRET_MAX];
	uint8_t len; /* 0: not known; else the length of the hash: 32 or 48 */
};

/* Fetched key derivation functions (fetching costs more than deriving); one per worker. */
struct tls_kdf;

/*
 * Make the derivation contexts (EVP_KDF-HKDF(7), EVP_KDF-TLS1_PRF(7)). One thread at a time may use
 * them. The caller owns *out and frees it with tls_kdf_free (NULL is fine there).
 * 0, -ENOMEM, or -ENOSYS: OpenSSL lacks a function or a hash.
 */
int tls_kdf_new(struct tls_kdf **out);
void tls_kdf_free(struct tls_kdf *kdf);

/*
 * The AEAD of a cipher suite by its two-byte code (IANA TLS parameters), key exchange and signature
 * aside; TLS_AEAD_NONE: kernel TLS does not have it, or we do not negotiate it.
 */
enum tls_aead tls_aead_by_suite(uint16_t suite);

/* Key length in bytes: 16 or 32; 0 for TLS_AEAD_NONE. */
size_t tls_aead_key_len(enum tls_aead aead);

/*
 * TLS 1.3 (RFC 8446 7.3): key and iv from a traffic secret, sequence number 0. The hash follows
 * from the secret's length. `out` is the caller's to wipe; on failure it is wiped already.
 * 0, or -EINVAL (unknown aead or length), -EIO (OpenSSL failed).
 */
int tls13_derive_keys(struct tls_kdf *kdf, const struct tls_secret *secret, enum tls_aead aead,
		      struct tls_keys *out);

/*
 * TLS 1.3 (RFC 8446 7.2): replace a traffic secret by its successor. On failure the secret is
 * as it was. 0, -EINVAL or -EIO.
 */
int tls13_update_secret(struct tls_kdf *kdf, struct tls_secret *secret);

/*
 * TLS 1.2 (RFC 5246 6.3, RFC 5288 3, RFC 7905 2): both directions' keys from the 48-byte master
 * secret and the two 32-byte randoms; `prf_hash_len` 32 or 48 names the PRF hash. Sequence numbers
 * are set to 1 (each side has sent its Finished); the GCM explicit nonce starts at the sequence
 * number, which OpenSSL's own first nonce, 64 random bits, does not collide with.
 * The keys are the caller's to wipe; on failure they are wiped already. 0, -EINVAL or -EIO.
 */
int tls12_derive_keys(struct tls_kdf *kdf, const uint8_t master[48],
		      const uint8_t client_random[32], const uint8_t server_random[32],
		      size_t prf_hash_len, enum tls_aead aead, struct tls_keys *client_write,
		      struct tls_keys *server_write);

/* Overwrite the secrets (OPENSSL_cleanse). */
void tls_keys_wipe(struct tls_keys *keys);
void tls_secret_wipe(struct tls_secret *secret);

#endif
