// SPDX-License-Identifier: GPL-2.0-or-later
#include "ktls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define REC_SEQ 8

int ktls_ulp(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0)
		return 0;
	return errno == ENOENT ? -ENOPKG : -errno;
}

/* Bytes of initialisation vector, key and salt together (struct tls12_crypto_info_*). */
static size_t secret_len(uint16_t cipher)
{
	switch (cipher) {
	case TLS_CIPHER_AES_GCM_256: return 8 + 32 + 4;
	case TLS_CIPHER_CHACHA20_POLY1305: return 12 + 32;
	default: return 8 + 16 + 4; /* AES-128, GCM and CCM */
	}
}

int ktls_keys(int fd, int direction, uint16_t version, uint16_t cipher, uint8_t fill)
{
	uint8_t room[sizeof(struct tls_crypto_info) + 64] = {0};
	const struct tls_crypto_info head = {.version = version, .cipher_type = cipher};
	size_t len = secret_len(cipher);

	memcpy(room, &head, sizeof(head));
	memset(room + sizeof(head), fill, len);
	len += sizeof(head) + REC_SEQ;
	return setsockopt(fd, SOL_TLS, direction, room, (socklen_t)len) ? -errno : 0;
}

int ktls_pair(struct pair *pair, uint16_t version, uint16_t cipher)
{
	int rc = pair_open(pair);

	if (!rc)
		rc = ktls_ulp(pair->connected);
	if (!rc)
		rc = ktls_ulp(pair->accepted);
	if (!rc)
		rc = ktls_keys(pair->connected, TLS_TX, version, cipher, 1);
	if (!rc)
		rc = ktls_keys(pair->accepted, TLS_RX, version, cipher, 1);
	return rc;
}
