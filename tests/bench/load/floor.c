// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The crypto floor: what a relay cannot do without, one record opened and one sealed, nothing
 * else. Nonces count as in RFC 8446 5.3; the additional data is the record header.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>

#include "load.h"

#define TAG_BYTES 16
#define IV_BYTES  12

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static EVP_CIPHER_CTX *cipher_new(bool seal)
{
	static const unsigned char key[16] = { 1 };
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();

	if (!cipher || !EVP_CipherInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, NULL, seal))
		die("AES-128-GCM");
	return cipher;
}

static void record_code(EVP_CIPHER_CTX *cipher, unsigned char *data, unsigned char *tag,
			unsigned long number, bool seal)
{
	static const unsigned char header[5] = { 23, 3, 3, 0x40, 0x11 };
	unsigned char iv[IV_BYTES] = { 0 };
	int bytes;

	memcpy(iv, &number, sizeof(number));
	if (!EVP_CipherInit_ex(cipher, NULL, NULL, NULL, iv, -1) ||
	    !EVP_CipherUpdate(cipher, NULL, &bytes, header, sizeof(header)) ||
	    !EVP_CipherUpdate(cipher, data, &bytes, data, RECORD_BYTES))
		die("AES-128-GCM");
	if (!seal)
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag);
	if (EVP_CipherFinal_ex(cipher, data + RECORD_BYTES, &bytes) != 1)
		die("record %lu does not open", number);
	if (seal)
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag);
}

int floor_run(const struct options *options)
{
	unsigned long records = options->count << 20 >> 14;
	EVP_CIPHER_CTX *seal = cipher_new(true);
	EVP_CIPHER_CTX *open = cipher_new(false);
	static unsigned char data[RECORD_BYTES + TAG_BYTES];
	unsigned char tag[TAG_BYTES];
	double start;

	/* The first record pays for what is set up once. */
	record_code(seal, data, tag, records, true);
	record_code(open, data, tag, records, false);
	start = cpu_seconds();
	for (unsigned long i = 0; i < records; i++) {
		record_code(seal, data, tag, i, true);
		record_code(open, data, tag, i, false);
	}
	printf("{\"ns_per_byte\": %.4f}\n",
	       (cpu_seconds() - start) * 1e9 / (double)(records << 14));
	EVP_CIPHER_CTX_free(seal);
	EVP_CIPHER_CTX_free(open);
	return 0;
}
