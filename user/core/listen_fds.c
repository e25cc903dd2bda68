// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/address.h"
#include "observe/conn_info.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define NAME_LEN 64

struct listen_fd {
	int fd;
	uint64_t cookie; /* socket(7), SO_COOKIE */
	union capture_address address;
	char name[NAME_LEN];
	bool used;
};

struct listen_fds {
	struct listen_fd *list;
	size_t len;
};

int listen_fds_new(struct listen_fds **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void listen_fds_free(struct listen_fds *fds)
{
	if (!fds)
		return;
	for (size_t i = 0; i < fds->len; i++)
		close(fds->list[i].fd);
	free(fds->list);
	free(fds);
}

static int option(int fd, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -errno : value;
}

/* What is it? 0, or -EINVAL with what is wrong with it in *why. */
static int look_at(struct listen_fd *entry, const char **why)
{
	socklen_t address_len = sizeof(entry->address), cookie_len = sizeof(entry->cookie);
	int flags;

	*why = "is no listening TCP socket";
	if (option(entry->fd, SO_TYPE) != SOCK_STREAM || option(entry->fd, SO_ACCEPTCONN) != 1 ||
	    getsockname(entry->fd, &entry->address.sa, &address_len) ||
	    (entry->address.sa.sa_family != AF_INET && entry->address.sa.sa_family != AF_INET6))
		return -EINVAL;
	*why = "cannot be used";
	if (getsockopt(entry->fd, SOL_SOCKET, SO_COOKIE, &entry->cookie, &cookie_len))
		return -EINVAL;
	flags = fcntl(entry->fd, F_GETFL);
	if (flags < 0 || fcntl(entry->fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(entry->fd, F_SETFD, FD_CLOEXEC))
		return -EINVAL;
	return 0;
}

static bool is_known(const struct listen_fds *fds, uint64_t cookie)
{
	for (size_t i = 0; i < fds->len; i++)
		if (fds->list[i].cookie == cookie)
			return true;
	return false;
}

static int append(struct listen_fds *fds, const struct listen_fd *entry)
{
	struct listen_fd *list = reallocarray(fds->list, fds->len + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	fds->list = list;
	list[fds->len++] = *entry;
	return 0;
}

int listen_fds_add(struct listen_fds *fds, int fd, const char *name, char *error, size_t error_len)
{
	struct listen_fd entry = {.fd = fd};
	const char *why = "out of memory";
	int err;

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	err = look_at(&entry, &why);
	if (!err && is_known(fds, entry.cookie)) {
		close(fd);
		return 0;
	}
	if (!err) {
		why = "out of memory";
		err = append(fds, &entry);
	}
	if (!err)
		return 0;
	snprintf(error, error_len, "descriptor %d (%s) %s", fd, entry.name, why);
	close(fd);
	return err;
}

static long number_of(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long value = text && *text ? strtol(text, &end, 10) : 0;

	return end && !*end && value > 0 ? value : 0;
}

/* The next of "a:b:c"; "unknown" where there are no more (sd_listen_fds_with_names(3)). */
static const char *next_name(const char **names, char name[NAME_LEN])
{
	size_t len = strcspn(*names, ":");

	snprintf(name, NAME_LEN, "%.*s", (int)(len < NAME_LEN ? len : NAME_LEN - 1),
		 len ? *names : "unknown");
	if (!len)
		snprintf(name, NAME_LEN, "unknown");
	*names += len + ((*names)[len] == ':');
	return name;
}

static int add_all(struct listen_fds *fds, long count, const char *names, char *error,
		   size_t error_len)
{
	char name[NAME_LEN];
	int err = 0;

	for (int fd = FIRST_FD; fd < FIRST_FD + count && !err; fd++)
		err = listen_fds_add(fds, fd, next_name(&names, name), error, error_len);
	return err;
}

int listen_fds_from_manager(struct listen_fds *fds, char *error, size_t error_len)
{
	const long count = number_of("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int err = 0;

	/* They may be for another process: one that has started this one. */
	if (count && number_of("LISTEN_PID") == (long)getpid())
		err = add_all(fds, count, names ? names : "", error, error_len);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return err;
}

/* Configured addresses are of the same layout. */
static bool is_for(const struct listen_fd *entry, const struct config_listener *listener)
{
	union capture_address address = {0};

	memcpy(&address, &listener->address, sizeof(listener->address));
	return capture_address_same(&entry->address, &address);
}

size_t listen_fds_count(const struct listen_fds *fds, const struct config_listener *listener)
{
	size_t count = 0;

	for (size_t i = 0; fds && i < fds->len; i++)
		count += is_for(&fds->list[i], listener);
	return count;
}

static bool is_wildcard(const union capture_address *address)
{
	return address->sa.sa_family == AF_INET6
		       ? IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)
		       : address->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool listen_fds_overlap(const struct listen_fds *fds, const struct config_listener *listener)
{
	union capture_address address = {0};
	bool overlap = false;

	memcpy(&address, &listener->address, sizeof(listener->address));
	for (size_t i = 0; fds && i < fds->len && !overlap; i++) {
		const union capture_address *own = &fds->list[i].address;

		/* the port is at the same place in both families */
		overlap = own->sa.sa_family == address.sa.sa_family &&
			  own->in.sin_port == address.in.sin_port &&
			  (is_wildcard(own) || is_wildcard(&address));
	}
	return overlap;
}

int listen_fds_get(struct listen_fds *fds, const struct config_listener *listener, size_t n)
{
	int copy;

	for (size_t i = 0; i < fds->len; i++) {
		if (!is_for(&fds->list[i], listener) || n--)
			continue;
		fds->list[i].used = true;
		copy = fcntl(fds->list[i].fd, F_DUPFD_CLOEXEC, 0);
		return copy < 0 ? -errno : copy;
	}
	return -ENOENT;
}

bool listen_fds_unused(const struct listen_fds *fds, char *text, size_t len)
{
	for (size_t i = 0; fds && i < fds->len; i++) {
		union conn_address address = {0};
		char name[64];

		if (fds->list[i].used)
			continue;
		memcpy(&address, &fds->list[i].address, sizeof(fds->list[i].address));
		snprintf(text, len, "%s (%s)", fds->list[i].name,
			 conn_address_print(&address, name, sizeof(name)));
		return true;
	}
	return false;
}
