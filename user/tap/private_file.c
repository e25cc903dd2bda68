// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* One that was there before may be anybody's. */
static int check(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : -EPERM;
}

int private_file_append(const char *path)
{
	int fd = open(path, FLAGS | O_APPEND, 0600);
	int err = fd < 0 ? -errno : check(fd);

	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

/* The folder `name` in `parent`, which is closed. */
static int enter(int parent, const char *name)
{
	int fd, err;

	if (mkdirat(parent, name, 0700) && errno != EEXIST) {
		err = -errno;
	} else {
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = fd < 0 ? -errno : fd;
	}
	close(parent);
	return err;
}

int private_file_make(const char *path, size_t fixed)
{
	char rest[PATH_MAX], folder[PATH_MAX];
	char *name = rest, *slash;
	int parent, fd;

	if (strlen(path) >= sizeof(rest) || fixed >= strlen(path))
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.*s", (int)fixed, path);
	snprintf(rest, sizeof(rest), "%s", path + fixed);
	parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	name += strspn(name, "/");
	while (parent >= 0 && (slash = strchr(name, '/'))) {
		*slash = '\0';
		parent = enter(parent, name);
		if (parent < 0)
			return parent;
		name = slash + 1 + strspn(slash + 1, "/");
	}
	if (parent < 0)
		return -errno;
	fd = openat(parent, name, FLAGS | O_EXCL, 0600);
	if (fd < 0)
		fd = -errno;
	close(parent);
	return fd;
}

int private_file_add(int fd, const void *bytes, size_t len)
{
	const char *from = bytes;
	struct stat before;
	size_t done = 0;
	int err = 0;

	if (fstat(fd, &before))
		return -errno;
	while (done < len && !err) {
		ssize_t n = write(fd, from + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	/* Half a line, or half a block, would spoil what comes behind it. */
	if (err && done && ftruncate(fd, before.st_size))
		err = -errno;
	return err;
}
