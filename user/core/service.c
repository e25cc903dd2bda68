// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/service.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/server.h"

int service_load(const struct config *config, struct identity_store *before,
		 struct identity_store **out, char *error, size_t error_len)
{
	if (!config->identities_len)
		return 0;
	return identity_store_follow(config->identities, config->identities_len, before, out,
				     error, error_len);
}

static bool is_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->listeners_len; i++)
		if (config->listeners[i].client_address == CLIENT_ADDRESS_TRANSPARENT)
			return true;
	return false;
}

int service_check_transparent(const struct config *config, char *error, size_t error_len)
{
	const int on = 1;
	int fd, err;

	if (!is_wanted(config))
		return 0;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(error, error_len,
			 "\"client_address\": is transparent, which is not permitted here (%s); "
			 "give ksplitd CAP_NET_ADMIN, or use proxy_v2",
			 strerror(-err));
	return err;
}

int service_watch_ms(const struct server *server)
{
	uint64_t now = worker_clock_us();

	if (!server->generation->identities)
		return -1;
	return server->service_us <= now ? 0 : (int)((server->service_us - now + 999) / 1000);
}

void service_watch(struct server *server)
{
	uint64_t now = worker_clock_us();

	if (!server->generation->identities || now < server->service_us)
		return;
	identity_store_poll(server->generation->identities);
	server->service_us = now + IDENTITY_STORE_POLL_MS * 1000;
}
