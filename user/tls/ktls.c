// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ktls.h"
#include "tls/protocol.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* include/uapi/linux/tls.h, newer than the headers that we are built with */
#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN 5
#endif

#define GCM_SALT_LEN  4

int ktls_install_ulp(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ? -errno : 0;
}

union crypto_info {
	struct tls_crypto_info head;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

static void put_be64(uint8_t out[8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* The kernel's form of the keys (include/uapi/linux/tls.h). Its length, or 0: unknown AEAD. */
static socklen_t fill_crypto_info(union crypto_info *info, const struct tls_keys *keys)
{
	info->head.version = keys->version;
	switch (keys->aead) {
	case TLS_AEAD_AES128_GCM:
		info->head.cipher_type = TLS_CIPHER_AES_GCM_128;
		memcpy(info->gcm128.key, keys->key, sizeof(info->gcm128.key));
		memcpy(info->gcm128.salt, keys->iv, GCM_SALT_LEN);
		memcpy(info->gcm128.iv, keys->iv + GCM_SALT_LEN, sizeof(info->gcm128.iv));
		put_be64(info->gcm128.rec_seq, keys->seq);
		return sizeof(info->gcm128);
	case TLS_AEAD_AES256_GCM:
		info->head.cipher_type = TLS_CIPHER_AES_GCM_256;
		memcpy(info->gcm256.key, keys->key, sizeof(info->gcm256.key));
		memcpy(info->gcm256.salt, keys->iv, GCM_SALT_LEN);
		memcpy(info->gcm256.iv, keys->iv + GCM_SALT_LEN, sizeof(info->gcm256.iv));
		put_be64(info->gcm256.rec_seq, keys->seq);
		return sizeof(info->gcm256);
	case TLS_AEAD_CHACHA20_POLY1305:
		info->head.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(info->chacha.key, keys->key, sizeof(info->chacha.key));
		memcpy(info->chacha.iv, keys->iv, sizeof(info->chacha.iv));
		put_be64(info->chacha.rec_seq, keys->seq);
		return sizeof(info->chacha);
	case TLS_AEAD_NONE: break;
	}
	return 0;
}

int ktls_push_keys(int fd, enum ktls_direction direction, const struct tls_keys *keys)
{
	union crypto_info info = {0};
	socklen_t len = fill_crypto_info(&info, keys);
	int option = direction == KTLS_TX ? TLS_TX : TLS_RX;
	int err = -EINVAL;

	if (len > 0)
		err = setsockopt(fd, SOL_TLS, option, &info, len) ? -errno : 0;
	OPENSSL_cleanse(&info, sizeof(info));
	return err;
}

int ktls_limit_records(int fd, uint16_t bytes)
{
	return setsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &bytes, sizeof(bytes)) ? -errno : 0;
}

/* Room for the one byte of a record type control message, aligned as CMSG_FIRSTHDR wants. */
union type_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(uint8_t))];
};

ssize_t ktls_recv_record(int fd, void *buf, size_t len, uint8_t *type)
{
	union type_control control;
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg;
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT);

	*type = 0;
	if (got < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_TLS && cmsg->cmsg_type == TLS_GET_RECORD_TYPE)
		*type = *(uint8_t *)CMSG_DATA(cmsg);
	return got;
}

ssize_t ktls_send_record(int fd, uint8_t type, const void *buf, size_t len)
{
	union type_control control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t sent;

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(sizeof(type));
	*(uint8_t *)CMSG_DATA(cmsg) = type;
	sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

/* A connected pair for the probe: connected end and accepted end. */
struct pair {
	int ends[2];
};

static int connect_end(int listener, struct pair *pair)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (getsockname(listener, (struct sockaddr *)&address, &len))
		return -errno;
	pair->ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair->ends[0] < 0)
		return -errno;
	/* Closed by reset: the probe leaves no TIME_WAIT behind. */
	if (setsockopt(pair->ends[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
	    connect(pair->ends[0], (struct sockaddr *)&address, len))
		return -errno;
	pair->ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return pair->ends[1] < 0 ? -errno : 0;
}

static void close_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		if (pair->ends[i] >= 0)
			close(pair->ends[i]);
}

static int open_pair(int listener, struct pair *pair)
{
	int err;

	pair->ends[0] = pair->ends[1] = -1;
	err = connect_end(listener, pair);
	if (err)
		close_pair(pair);
	return err;
}

static int open_listener(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Both directions of one version and cipher. The key does not matter: nothing is sent. */
static void probe_cipher(int fd, uint16_t version, enum tls_aead aead, struct ktls_support *support)
{
	struct tls_keys keys = {.version = version, .aead = aead};
	int row = version - VERSION_TLS12;

	support->tx[row][aead] = ktls_push_keys(fd, KTLS_TX, &keys) == 0;
	support->rx[row][aead] = ktls_push_keys(fd, KTLS_RX, &keys) == 0;
	if (version != VERSION_TLS13 || !support->tx[row][aead] || !support->rx[row][aead])
		return;
	if (ktls_push_keys(fd, KTLS_TX, &keys) == 0 && ktls_push_keys(fd, KTLS_RX, &keys) == 0)
		support->rekey = true;
}

static int probe_on_pair(int listener, uint16_t version, enum tls_aead aead,
			 struct ktls_support *support)
{
	struct pair pair;
	int err = open_pair(listener, &pair);

	if (err)
		return err;
	err = ktls_install_ulp(pair.ends[0]);
	support->ulp = err == 0;
	support->ulp_errno = -err;
	if (!err)
		probe_cipher(pair.ends[0], version, aead, support);
	close_pair(&pair);
	return 0;
}

static int probe_all(int listener, struct ktls_support *support)
{
	/* Each on sockets of its own: keys once set cannot be taken away. */
	for (uint16_t version = VERSION_TLS12; version <= VERSION_TLS13; version++) {
		for (enum tls_aead aead = TLS_AEAD_AES128_GCM; aead <= TLS_AEAD_CHACHA20_POLY1305;
		     aead++) {
			int err = probe_on_pair(listener, version, aead, support);

			if (err || !support->ulp)
				return err;
		}
	}
	return 0;
}

int ktls_probe(struct ktls_support *support)
{
	int listener;
	int err;

	memset(support, 0, sizeof(*support));
	listener = open_listener();
	if (listener < 0)
		return listener;
	err = probe_all(listener, support);
	close(listener);
	return err;
}
