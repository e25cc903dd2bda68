// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ticket_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"

#define NAME_LEN 16
#define AES_LEN  32
#define MAC_LEN  32
#define IV_LEN   16

/* In this order in ticket_keys_export's text. */
struct pair {
	uint8_t name[NAME_LEN]; /* says in the ticket which it is */
	uint8_t aes[AES_LEN];
	uint8_t mac[MAC_LEN];
};

struct ticket_keys {
	atomic_uint references;
	pthread_mutex_t lock;
	int64_t period;
	int64_t made; /* the present pair */
	struct pair present, before;
	bool has_before;
};

static int pair_make(struct pair *pair)
{
	return RAND_bytes(pair->name, sizeof(pair->name)) == 1 &&
			       RAND_priv_bytes(pair->aes, sizeof(pair->aes)) == 1 &&
			       RAND_priv_bytes(pair->mac, sizeof(pair->mac)) == 1
		       ? 0
		       : -EIO;
}

int ticket_keys_new(uint32_t period_s, int64_t now_s, struct ticket_keys **out)
{
	struct ticket_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	atomic_init(&keys->references, 1);
	keys->period = period_s;
	keys->made = now_s;
	pthread_mutex_init(&keys->lock, NULL);
	if (pair_make(&keys->present)) {
		ticket_keys_put(keys);
		return -EIO;
	}
	*out = keys;
	return 0;
}

struct ticket_keys *ticket_keys_get(struct ticket_keys *keys)
{
	atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
	return keys;
}

void ticket_keys_put(struct ticket_keys *keys)
{
	if (!keys || atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&keys->lock);
	OPENSSL_cleanse(keys, sizeof(*keys));
	free(keys);
}

void ticket_keys_set_period(struct ticket_keys *keys, uint32_t period_s)
{
	pthread_mutex_lock(&keys->lock);
	keys->period = period_s;
	pthread_mutex_unlock(&keys->lock);
}

/* --- under the lock --- */

static void forget_before(struct ticket_keys *keys)
{
	OPENSSL_cleanse(&keys->before, sizeof(keys->before));
	keys->has_before = false;
}

/* Where there are no random bytes the present pair goes on. */
static void rotate(struct ticket_keys *keys, int64_t now_s)
{
	int64_t age = now_s - keys->made;
	struct pair next;

	if (age < keys->period)
		return;
	if (!pair_make(&next)) {
		keys->before = keys->present;
		keys->has_before = true;
		keys->present = next;
		keys->made = age < 2 * keys->period ? keys->made + keys->period : now_s;
		/* Nobody was there for a whole period. */
		if (age >= 2 * keys->period)
			forget_before(keys);
	}
	OPENSSL_cleanse(&next, sizeof(next));
}

/* 1: the present pair; 2: the one before; 0: neither. */
static int find(const struct ticket_keys *keys, const uint8_t name[NAME_LEN], struct pair *out)
{
	int which = 0;

	if (!CRYPTO_memcmp(keys->present.name, name, NAME_LEN))
		which = 1;
	else if (keys->has_before && !CRYPTO_memcmp(keys->before.name, name, NAME_LEN))
		which = 2;
	if (which)
		*out = which == 1 ? keys->present : keys->before;
	return which;
}

/* --- OpenSSL's side --- */

static int64_t clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

uint32_t ticket_keys_run(struct ticket_keys *keys, int64_t now_s)
{
	int64_t left;

	pthread_mutex_lock(&keys->lock);
	rotate(keys, now_s);
	left = keys->made + keys->period - now_s;
	pthread_mutex_unlock(&keys->lock);
	return left > 0 ? (uint32_t)left : 1;
}

static int mac_init(EVP_MAC_CTX *mac, struct pair *pair)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, pair->mac, sizeof(pair->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

/*
 * SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 use it; 2 use it, and give the client another ticket;
 * 0 not one of ours: a full handshake; -1 error.
 */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int sealing)
{
	struct ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct pair pair;
	int which = 1, ok;

	pthread_mutex_lock(&keys->lock);
	rotate(keys, clock_s());
	if (sealing)
		pair = keys->present;
	else
		which = find(keys, name, &pair);
	pthread_mutex_unlock(&keys->lock);
	if (!which)
		return 0;
	if (sealing) {
		memcpy(name, pair.name, NAME_LEN);
		ok = RAND_bytes(iv, IV_LEN) == 1 &&
		     EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, pair.aes, iv);
	} else {
		ok = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, pair.aes, iv);
	}
	ok = ok && mac_init(mac, &pair);
	OPENSSL_cleanse(&pair, sizeof(pair));
	/* Tickets of TLS 1.3 are used once (RFC 8446 C.4): who comes with one gets another (2). */
	if (!sealing && SSL_version(ssl) == TLS1_3_VERSION)
		which = 2;
	return ok ? which : -1;
}

int ticket_keys_attach(struct ticket_keys *keys, SSL_CTX *ctx)
{
	return SSL_CTX_set_app_data(ctx, keys) &&
			       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket)
		       ? 0
		       : -EIO;
}

/* --- to another process --- */

static void put_hex(char *text, const struct pair *pair)
{
	hex_print(text, (const uint8_t *)pair, sizeof(*pair));
}

int ticket_keys_export(struct ticket_keys *keys, int64_t now_s, char *text, size_t len)
{
	char present[2 * sizeof(struct pair) + 1], before[sizeof(present)] = "-";

	if (len < TICKET_KEYS_TEXT)
		return -ENOSPC;
	pthread_mutex_lock(&keys->lock);
	rotate(keys, now_s);
	put_hex(present, &keys->present);
	if (keys->has_before)
		put_hex(before, &keys->before);
	snprintf(text, len, "tickets %" PRId64 " %s %s", now_s - keys->made, present, before);
	pthread_mutex_unlock(&keys->lock);
	OPENSSL_cleanse(present, sizeof(present));
	OPENSSL_cleanse(before, sizeof(before));
	return 0;
}

static int get_hex(const char *text, size_t len, struct pair *pair)
{
	uint8_t *bytes = (uint8_t *)pair;

	if (len != 2 * sizeof(*pair))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(*pair); i++) {
		int high = OPENSSL_hexchar2int((unsigned char)text[2 * i]);
		int low = OPENSSL_hexchar2int((unsigned char)text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* "tickets AGE PRESENT BEFORE" */
static int parse(const char *text, int64_t *age, struct pair *present, struct pair *before,
		 bool *has_before)
{
	char *end;
	size_t len;
	int err;

	if (strncmp(text, "tickets ", 8) != 0)
		return -EINVAL;
	*age = strtoll(text + 8, &end, 10);
	if (end == text + 8 || *end != ' ' || *age < 0)
		return -EINVAL;
	text = end + 1;
	len = strcspn(text, " ");
	err = get_hex(text, len, present);
	if (err || text[len] != ' ')
		return -EINVAL;
	text += len + 1;
	*has_before = strcmp(text, "-") != 0;
	return *has_before ? get_hex(text, strlen(text), before) : 0;
}

int ticket_keys_import(struct ticket_keys *keys, int64_t now_s, const char *text)
{
	struct pair present, before = {0};
	bool has_before = false;
	int64_t age = 0;
	int err = parse(text, &age, &present, &before, &has_before);

	if (!err) {
		pthread_mutex_lock(&keys->lock);
		keys->present = present;
		keys->before = before;
		keys->has_before = has_before;
		keys->made = now_s - age;
		rotate(keys, now_s);
		pthread_mutex_unlock(&keys->lock);
	}
	OPENSSL_cleanse(&present, sizeof(present));
	OPENSSL_cleanse(&before, sizeof(before));
	return err;
}
