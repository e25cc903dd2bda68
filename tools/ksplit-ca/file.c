// SPDX-License-Identifier: GPL-2.0-or-later
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int fill(int fd, const void *bytes, size_t len, const struct file_access *access)
{
	int rc;

	if (access->uid != (uid_t)-1 || access->gid != (gid_t)-1) {
		if (fchown(fd, access->uid, access->gid))
			return -errno;
	}
	if (fchmod(fd, access->mode))
		return -errno;
	rc = write_all(fd, bytes, len);
	if (!rc && fsync(fd))
		rc = -errno;
	return rc;
}

int file_begin(struct new_file *file, const char *path, const void *bytes, size_t len,
	       const struct file_access *access)
{
	int fd, rc;

	*file = (struct new_file){.path = path};
	rc = snprintf(file->temp, sizeof(file->temp), "%s.XXXXXX", path);
	if (rc < 0 || (size_t)rc >= sizeof(file->temp))
		return -ENAMETOOLONG;
	fd = mkostemp(file->temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	file->made = true;
	rc = fill(fd, bytes, len, access);
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

/* A name that is lost with the next power cut is no name yet. */
static void folder_sync(const char *path)
{
	char folder[FILE_PATH_MAX];
	int fd;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int file_commit(struct new_file *file, bool replace)
{
	if (replace) {
		if (rename(file->temp, file->path))
			return -errno;
		file->made = false;
	} else if (link(file->temp, file->path)) { /* never replaces, on any file system */
		return -errno;
	}
	file_abandon(file);
	folder_sync(file->path);
	return 0;
}

void file_abandon(struct new_file *file)
{
	if (file->made)
		unlink(file->temp);
	file->made = false;
}

int file_write(const char *path, const void *bytes, size_t len, const struct file_access *access,
	       bool replace)
{
	struct new_file file;
	int rc = file_begin(&file, path, bytes, len, access);

	if (!rc)
		rc = file_commit(&file, replace);
	file_abandon(&file);
	return rc;
}

static int read_all(int fd, char *bytes, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, bytes + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return -EFBIG;
}

int file_read(const char *path, char **bytes, size_t *len)
{
	struct stat st;
	char *buf = NULL;
	size_t size;
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) ? -errno : 0;
	if (!rc && !S_ISREG(st.st_mode))
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (!rc && st.st_size >= FILE_MAX_BYTES)
		rc = -EFBIG;
	size = rc ? 0 : (size_t)st.st_size + 1; /* one more: has it grown? and the zero byte */
	if (!rc)
		buf = OPENSSL_zalloc(size + 1);
	if (!rc && !buf)
		rc = -ENOMEM;
	if (!rc)
		rc = read_all(fd, buf, size, len);
	close(fd);
	if (rc) {
		OPENSSL_clear_free(buf, buf ? size + 1 : 0);
		return rc;
	}
	*bytes = buf;
	return 0;
}
