// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Type of a kernfs file's handle (include/linux/exportfs.h FILEID_KERNFS): its 64-bit id. */
#define HANDLE_KERNFS 0xfe

static int octal_value(const char *text)
{
	return (text[0] - '0') << 6 | (text[1] - '0') << 3 | (text[2] - '0');
}

/* Spaces and the like are "\040" in mountinfo. */
static void decode_octal(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)octal_value(text + 1);
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Is this line of mountinfo the root of a cgroup2 file system? Where is it? Cuts `line` up. */
static char *parse_mount(char *line)
{
	char *fields[5], *rest, *type = strstr(line, " - ");

	if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
		return NULL;
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!fields[i])
			return NULL;
	}
	if (strcmp(fields[3], "/") != 0)
		return NULL;
	decode_octal(fields[4]);
	return fields[4];
}

int cgroup_find_mount(char path[PATH_MAX])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *mount = NULL;
	size_t size = 0;

	if (!file)
		return -errno;
	while (!mount && getline(&line, &size, file) >= 0) {
		mount = parse_mount(line);
		if (mount && strlen(mount) < PATH_MAX)
			memcpy(path, mount, strlen(mount) + 1);
		else
			mount = NULL;
	}
	free(line);
	fclose(file);
	return mount ? 0 : -ENOENT;
}

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgroup_open_root(void)
{
	char path[PATH_MAX];
	int err = cgroup_find_mount(path);

	return err ? err : open_folder(path);
}

int cgroup_path_of_process(uint32_t pid, char *path, size_t size)
{
	char name[64], *line = NULL;
	int err = -ENOENT;
	size_t room = 0;
	FILE *file;

	if (pid)
		snprintf(name, sizeof(name), "/proc/%u/cgroup", pid);
	else
		snprintf(name, sizeof(name), "/proc/self/cgroup");
	file = fopen(name, "re");
	if (!file)
		return -errno;
	while (getline(&line, &room, file) >= 0) {
		/* v1 hierarchies have numbers from 1 on. */
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		err = snprintf(path, size, "%s", line + 3) < (int)size ? 0 : -ENAMETOOLONG;
		break;
	}
	free(line);
	fclose(file);
	return err;
}

int cgroup_open_own(void)
{
	char mount[PATH_MAX], path[PATH_MAX];
	int err = cgroup_find_mount(mount);
	size_t len;

	if (!err)
		err = cgroup_path_of_process(0, path, sizeof(path));
	if (err)
		return err;
	len = strlen(mount);
	if (len + strlen(path) >= sizeof(mount))
		return -ENAMETOOLONG;
	memcpy(mount + len, path, strlen(path) + 1);
	return open_folder(mount);
}

/* Path of an open folder. */
static int read_path(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, size);
	if (len < 0)
		return -errno;
	if ((size_t)len == size)
		return -ENAMETOOLONG;
	path[len] = '\0';
	return 0;
}

/* `path` without the path of the hierarchy's own folder before it; "/" for that one. */
static int make_relative(int root, char *path)
{
	char mount[PATH_MAX];
	int err = read_path(root, mount, sizeof(mount));
	size_t len = strlen(mount);

	if (err)
		return err;
	if (strncmp(path, mount, len) != 0)
		return -ESTALE;
	if (path[len] == '\0')
		memcpy(path, "/", 2);
	else
		memmove(path, path + len, strlen(path + len) + 1);
	return 0;
}

int cgroup_path_of_id(int root, uint64_t id, char *path, size_t size)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} name = {.handle = {.handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS}};
	char full[PATH_MAX];
	int fd, err;

	memcpy(name.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(root, &name.handle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = read_path(fd, full, sizeof(full));
	close(fd);
	if (!err)
		err = make_relative(root, full);
	if (!err && strlen(full) >= size)
		err = -ENAMETOOLONG;
	if (!err)
		memcpy(path, full, strlen(full) + 1);
	return err;
}

static bool ends_in(const char *text, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

void cgroup_print_unit(const char *path, char *unit, size_t size)
{
	size_t len = strlen(path), start;

	for (size_t end = len; end > 0; end = start) {
		const char *element;
		size_t element_len;

		for (start = end - 1; start > 0 && path[start] != '/'; start--)
			;
		element = path + start + (path[start] == '/');
		element_len = (size_t)(path + end - element);
		if (ends_in(element, element_len, ".service") ||
		    ends_in(element, element_len, ".scope") ||
		    ends_in(element, element_len, ".slice")) {
			snprintf(unit, size, "%.*s", (int)element_len, element);
			return;
		}
	}
	snprintf(unit, size, "%s", path);
}
