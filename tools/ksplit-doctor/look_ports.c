// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "look.h"
#include "proc_listener.h"

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool address_parse(const char *text, union address *address, socklen_t *len, uint16_t *port)
{
	char host[SETTINGS_TEXT];

	memset(address, 0, sizeof(*address));
	if (!settings_split(text, host, port))
		return false;
	if (inet_pton(AF_INET, host, &address->in.sin_addr) == 1) {
		address->in.sin_family = AF_INET;
		address->in.sin_port = htons(*port);
		*len = sizeof(address->in);
		return true;
	}
	address->in6.sin6_family = AF_INET6;
	address->in6.sin6_port = htons(*port);
	*len = sizeof(address->in6);
	return inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1;
}

/*
 * Without SO_REUSEPORT, so that it fails beside a listener, and without listen(2), so that nobody's
 * connection can come here.
 */
static int try_bind(const union address *address, socklen_t len)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;
	const int on = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address->sa, len))
		rc = -errno;
	close(fd);
	return rc;
}

static void tell_taken(struct look *look, const char *text, uint16_t port)
{
	char name[16], mend[FINDING_MEND];
	pid_t pid;

	if (!proc_listener_find(port, &pid, name)) {
		snprintf(mend, sizeof(mend), "as root: ss -Hltnp sport = :%u", port);
		look_tell(look, VERDICT_WARN, text, mend,
			  "in use; only root can see whether by ksplitd");
		return;
	}
	if (strcmp(name, "ksplitd") == 0) {
		look_tell(look, VERDICT_OK, text, NULL, "ksplitd listens there (process %d)",
			  (int)pid);
		return;
	}
	snprintf(mend, sizeof(mend),
		 "end process %d, or name another port in %s (listeners, metrics)", (int)pid,
		 look->settings->path);
	look_tell(look, VERDICT_FAIL, text, mend,
		  "taken by %s (process %d): ksplitd will not start", name, (int)pid);
}

static void look_port(struct look *look, const char *text)
{
	union address address;
	char mend[FINDING_MEND];
	uint16_t port;
	socklen_t len;
	int rc;

	if (!address_parse(text, &address, &len, &port)) {
		look_tell(look, VERDICT_FAIL, text, "write 127.0.0.1:8443 or [::1]:8443",
			  "not an address and a port");
		return;
	}
	rc = try_bind(&address, len);
	if (rc == -EADDRINUSE) {
		tell_taken(look, text, port);
	} else if (rc == -EACCES) {
		look_tell(look, VERDICT_NOT_TRIED, text, NULL,
			  "needs root: ports below 1024 (CAP_NET_BIND_SERVICE)");
	} else if (rc == -EADDRNOTAVAIL) {
		snprintf(mend, sizeof(mend), "ip address add ADDRESS dev DEVICE, or change %s",
			 look->settings->path);
		look_tell(look, VERDICT_FAIL, text, mend,
			  "this host does not have that address: ksplitd will not start");
	} else if (rc) {
		look_tell(look, VERDICT_FAIL, text, NULL, "cannot be listened on: %s",
			  strerror(-rc));
	} else {
		look_tell(look, VERDICT_OK, text, NULL, "free");
	}
}

void look_ports(struct look *look)
{
	const struct settings *settings = look->settings;

	if (!settings->listeners_len)
		look_tell(look, settings->rc ? VERDICT_NOT_TRIED : VERDICT_FAIL, NULL,
			  settings->rc ? NULL : "add \"listeners\" (ksplit.json(5))",
			  "no listeners are configured");
	for (size_t i = 0; i < settings->listeners_len; i++)
		look_port(look, settings->listeners[i].listen);
	if (*settings->prometheus)
		look_port(look, settings->prometheus);
}
