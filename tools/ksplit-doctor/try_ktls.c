// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ktls.h"
#include "try.h"

#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN 5
#endif
#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif

#define RECORD_ALERT     21
#define RECORD_HANDSHAKE 22

static const char words[] = "plain text of a check";

/* Does a file of the running kernel's modules have a line with `word`? -errno: there is no such
 * file. */
static int modules_have(const char *file, const char *word)
{
	char path[160], *line = NULL;
	struct utsname name;
	size_t size = 0;
	FILE *lines;
	int found = 0;

	if (uname(&name))
		return -errno;
	snprintf(path, sizeof(path), "/lib/modules/%.65s/%s", name.release, file);
	lines = fopen(path, "re");
	if (!lines)
		return -errno;
	while (!found && getline(&line, &size, lines) >= 0)
		found = strstr(line, word) != NULL;
	free(line);
	fclose(lines);
	return found;
}

static bool ulp_is_available(void)
{
	char line[256] = "";
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");
	bool found;

	if (!file)
		return false;
	found = fgets(line, sizeof(line), file) && strstr(line, "tls");
	fclose(file);
	return found;
}

/* Comes before all other attempts at kernel TLS, since they load the module. */
int try_ktls_autoload(struct attempt *attempt)
{
	bool before = ulp_is_available();
	struct pair pair;
	int rc = pair_open(&pair);

	if (!rc)
		rc = ktls_ulp(pair.connected);
	/* Without the capability the kernel does not even look for it (net/ipv4/tcp_ulp.c). */
	if (rc == -ENOPKG && !caps_any(CAP_BIT(CAP_NET_ADMIN)))
		return attempt_why(attempt, ATTEMPT_UNKNOWN,
				   "needs root, and the module is not loaded");
	if (rc == -ENOPKG)
		return attempt_why(attempt, -ENOENT, "there is no such module");
	if (rc || !before)
		return rc;
	if (modules_have("modules.builtin", "/tls.ko") > 0)
		return attempt_why(attempt, 0, "it is built in");
	rc = modules_have("modules.alias", "tcp-ulp-tls");
	if (rc > 0)
		return attempt_why(attempt, 0, "loaded already");
	if (rc == 0)
		return -ENOENT;
	return attempt_why(attempt, ATTEMPT_UNKNOWN,
			   "it is in the kernel already, and its modules are not on this disk");
}

int try_ktls_ulp(struct attempt *attempt)
{
	struct pair pair;
	int rc = pair_open(&pair);

	if (!rc)
		rc = ktls_ulp(pair.connected);
	/* Not -ENOPKG: this is the check that others are told to look at. */
	if (rc == -ENOPKG)
		return attempt_why(attempt, -ENOENT,
				   "this kernel has no module tls, or it is not loaded");
	return rc;
}

/* A record leaves encrypted: its header is there, the text is not. */
int try_ktls_tx(struct attempt *attempt)
{
	char record[256];
	struct pair pair;
	ssize_t n;
	int rc = pair_open(&pair);

	(void)attempt;
	if (!rc)
		rc = ktls_ulp(pair.connected);
	if (!rc)
		rc = ktls_keys(pair.connected, TLS_TX, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128, 1);
	if (rc)
		return rc;
	if (send(pair.connected, words, sizeof(words), MSG_NOSIGNAL) != (ssize_t)sizeof(words))
		return errno ? -errno : -EIO;
	n = recv(pair.accepted, record, sizeof(record), 0);
	if (n < 0)
		return -errno;
	if (n <= (ssize_t)sizeof(words) + 5 || record[0] != 23 ||
	    memmem(record, (size_t)n, words, sizeof(words)))
		return -EIO;
	return 0;
}

/* Sealed by one socket, opened by the other. */
static int carry(uint16_t version, uint16_t cipher)
{
	struct pair pair;
	int rc = ktls_pair(&pair, version, cipher);

	return rc ? rc : pair_carry(pair.connected, pair.accepted, words);
}

/* In both versions; the detail says which one does not work. */
static int carry_both(struct attempt *attempt, uint16_t cipher)
{
	int rc = carry(TLS_1_2_VERSION, cipher);

	if (rc == -ENOPKG)
		return rc;
	if (rc)
		return attempt_why(attempt, rc, "TLS 1.2: %s", strerror(-rc));
	rc = carry(TLS_1_3_VERSION, cipher);
	return rc ? attempt_why(attempt, rc, "TLS 1.3: %s", strerror(-rc)) : 0;
}

int try_ktls_rx(struct attempt *attempt)
{
	(void)attempt;
	return carry(TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);
}

int try_ktls_tls13(struct attempt *attempt)
{
	(void)attempt;
	return carry(TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);
}

int try_ktls_aes256(struct attempt *attempt)
{
	return carry_both(attempt, TLS_CIPHER_AES_GCM_256);
}

int try_ktls_chacha20(struct attempt *attempt)
{
	return carry_both(attempt, TLS_CIPHER_CHACHA20_POLY1305);
}

int try_ktls_ccm(struct attempt *attempt)
{
	(void)attempt;
	return carry(TLS_1_2_VERSION, TLS_CIPHER_AES_CCM_128);
}

/* Out of one connection by splice, and sealed again into another. */
int try_ktls_splice(struct attempt *attempt)
{
	struct pair in, out;
	int ends[2], rc = ktls_pair(&in, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);
	ssize_t n;

	(void)attempt;
	if (!rc)
		rc = ktls_pair(&out, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);
	if (!rc && pipe2(ends, O_CLOEXEC))
		rc = -errno;
	if (rc)
		return rc;
	if (send(in.connected, words, sizeof(words) - 1, MSG_NOSIGNAL) < 0)
		return -errno;
	n = splice(in.accepted, NULL, ends[1], NULL, 16384, 0);
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(words) - 1)
		return -EIO;
	n = splice(ends[0], NULL, out.connected, NULL, (size_t)n, 0);
	if (n < 0)
		return -errno;
	return pair_expect(out.accepted, words);
}

/* Room for the record type, aligned as CMSG_FIRSTHDR wants. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(1)];
};

static int record_send(int fd, uint8_t type, const void *payload, size_t len)
{
	union control control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)payload, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = type;
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : errno ? -errno : -EIO;
}

static int record_expect(int fd, uint8_t type, const void *payload, size_t len)
{
	union control control = {0};
	uint8_t room[64];
	struct iovec iov = {.iov_base = room, .iov_len = sizeof(room)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &msg, 0);
	struct cmsghdr *cmsg = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	if (n < 0)
		return -errno;
	if (!cmsg || cmsg->cmsg_level != SOL_TLS || cmsg->cmsg_type != TLS_GET_RECORD_TYPE ||
	    *CMSG_DATA(cmsg) != type)
		return -EIO;
	return n == (ssize_t)len && memcmp(room, payload, len) == 0 ? 0 : -EIO;
}

int try_ktls_control(struct attempt *attempt)
{
	static const uint8_t close_notify[] = {1, 0};
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);

	(void)attempt;
	if (!rc)
		rc = record_send(pair.connected, RECORD_ALERT, close_notify, sizeof(close_notify));
	if (!rc)
		rc = record_expect(pair.accepted, RECORD_ALERT, close_notify, sizeof(close_notify));
	return rc;
}

/* A KeyUpdate and new keys on both ends (RFC 8446 4.6.3). */
int try_ktls_rekey(struct attempt *attempt)
{
	static const uint8_t key_update[] = {24, 0, 0, 1, 0};
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);

	if (rc)
		return rc;
	rc = record_send(pair.connected, RECORD_HANDSHAKE, key_update, sizeof(key_update));
	if (!rc)
		rc = ktls_keys(pair.connected, TLS_TX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 2);
	if (rc == -EBUSY)
		return attempt_why(attempt, rc, "keys that are set stay");
	if (!rc)
		rc = record_expect(pair.accepted, RECORD_HANDSHAKE, key_update, sizeof(key_update));
	if (!rc)
		rc = ktls_keys(pair.accepted, TLS_RX, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, 2);
	return rc ? rc : pair_carry(pair.connected, pair.accepted, words);
}

/* No record of ours is larger: for peers that take small ones only. */
int try_ktls_limit(struct attempt *attempt)
{
	const uint16_t bytes = 512;
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);

	(void)attempt;
	if (!rc &&
	    setsockopt(pair.connected, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &bytes, sizeof(bytes)))
		rc = -errno;
	return rc ? rc : pair_carry(pair.connected, pair.accepted, words);
}

int try_ktls_no_pad(struct attempt *attempt)
{
	const int on = 1;
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128);

	(void)attempt;
	if (!rc && setsockopt(pair.accepted, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)))
		rc = -errno;
	return rc;
}

/* A counter of /proc/net/tls_stat; -errno: there is no such file, -ENODATA: no such counter. */
static long stat_read(const char *counter)
{
	FILE *file = fopen("/proc/net/tls_stat", "re");
	char name[64];
	long value, found = -ENODATA;

	if (!file)
		return -errno;
	while (found < 0 && fscanf(file, "%63s %ld", name, &value) == 2) {
		if (strcmp(name, counter) == 0)
			found = value;
	}
	fclose(file);
	return found;
}

/* The counter moves with a socket whose keys the kernel takes. */
int try_tls_stat(struct attempt *attempt)
{
	long before = stat_read("TlsRxSw"), after;
	struct pair pair;
	int rc = ktls_pair(&pair, TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128);

	if (rc)
		return rc;
	after = stat_read("TlsRxSw");
	if (after < 0)
		return attempt_why(attempt, (int)after, "no /proc/net/tls_stat");
	return after > (before < 0 ? 0 : before) ? 0 : -EIO;
}
