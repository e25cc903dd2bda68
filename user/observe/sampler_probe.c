// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/sampler_probe.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe/sampler_internal.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const char request[] = "GET /ksplit-probe HTTP/1.1\r\nhost: localhost\r\n\r\n";

/* A connected pair over the loopback device; fd[0] is the one that sends. 0 or -errno. */
static int make_pair(int fd[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	fd[0] = fd[1] = -1;
	if (listener < 0)
		return -errno;
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		err = -errno;
	if (!err) {
		fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd[0] < 0 || connect(fd[0], (struct sockaddr *)&address, len))
			err = -errno;
	}
	if (!err) {
		fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd[1] < 0)
			err = -errno;
	}
	close(listener);
	return err;
}

static void close_pair(const int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

/* Keys of no connection: what they seal is never opened. */
static int seal_with_kernel(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		return -errno;
	return setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info)) ? -errno : 0;
}

struct sight {
	bool seen;
};

static void look(void *ctx, const struct ksplit_head_event *event)
{
	struct sight *sight = ctx;

	if (event->conn == SAMPLER_PROBE_CONN && event->kind == KSPLIT_EVENT_HTTP1 &&
	    (event->flags & KSPLIT_HEAD_END))
		sight->seen = true;
}

static int watch_request(struct sampler *sampler, enum sampler_place place, const int fd[2])
{
	struct sight sight = {false};
	int err;

	if (place == SAMPLER_PLAIN_TCP) {
		err = sampler_enlist(sampler, fd[0], SAMPLER_PROBE_CONN, KSPLIT_REQUESTS);
		if (err)
			return err;
	}
	err = sampler_arm(sampler, place, SAMPLER_PROBE_CONN, false, fd);
	if (err)
		return err;
	if (send(fd[0], request, sizeof(request) - 1, MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(request) - 1)
		err = errno ? -errno : -EIO;
	if (!err)
		err = sampler_poll(sampler, look, &sight);
	sampler_disarm(sampler, SAMPLER_PROBE_CONN, fd);
	if (err < 0)
		return err;
	return sight.seen ? 0 : -ENODATA;
}

int sampler_probe(struct sampler *sampler, enum sampler_place place)
{
	int fd[2], err = make_pair(fd);

	if (!err && place == SAMPLER_KERNEL_TLS) {
		err = sampler_enlist(sampler, fd[0], SAMPLER_PROBE_CONN, KSPLIT_REQUESTS);
		if (!err)
			err = seal_with_kernel(fd[0]);
	}
	if (!err)
		err = watch_request(sampler, place, fd);
	close_pair(fd);
	return err;
}
