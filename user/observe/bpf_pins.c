// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/bpf_pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "observe/bpf_object.h"

#define COMM_MAX   32
#define MAKE_TRIES 8

/* The folder above KSPLIT_PIN_ROOT, where bpffs is mounted. */
#define BPFFS "/sys/fs/bpf"

/* Remove the files in a folder that was opened (pins are never folders), then the folder. */
static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

/* The name that the kernel shows of a process; false when there is no such process. */
static bool read_comm(const char *pid, char comm[COMM_MAX])
{
	char path[64];
	bool is_read;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	is_read = fgets(comm, COMM_MAX, file);
	fclose(file);
	return is_read;
}

static bool is_number(const char *name)
{
	return *name && strspn(name, "0123456789") == strlen(name);
}

/* A process with our name under that number is a daemon that lives. */
static bool is_stale(const char *pid)
{
	char mine[COMM_MAX], theirs[COMM_MAX];

	if (!read_comm("self", mine))
		return false;
	return !read_comm(pid, theirs) || strcmp(mine, theirs) != 0;
}

int bpf_pins_open_root(void)
{
	int fd;

	if (mkdir(KSPLIT_PIN_ROOT, 0700) < 0 && errno != EEXIST)
		return 0;
	fd = open(KSPLIT_PIN_ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : fd;
}

/* KSPLIT_PIN_ROOT, by a way that is open to us (proc(5), /proc/PID/fd). */
static void root_path(int root, char path[BPF_PINS_PATH_MAX])
{
	if (root <= 0)
		snprintf(path, BPF_PINS_PATH_MAX, "%s", KSPLIT_PIN_ROOT);
	else
		snprintf(path, BPF_PINS_PATH_MAX, "/proc/self/fd/%d", root);
}

int bpf_pins_remove_stale(int root)
{
	char folder[BPF_PINS_PATH_MAX], path[BPF_PINS_PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	int removed = 0;
	DIR *dir;

	root_path(root, folder);
	dir = opendir(folder);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (!is_number(entry->d_name) || !is_stale(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		remove_folder(path);
		removed++;
	}
	closedir(dir);
	if (removed)
		rmdir(KSPLIT_PIN_ROOT); /* refused while another daemon's folder is in it */
	return removed;
}

static int make_folders(int root, const char *path)
{
	/* A daemon that ends at this moment may take the root away between the two. */
	for (int i = 0; i < MAKE_TRIES; i++) {
		if (root <= 0 && mkdir(KSPLIT_PIN_ROOT, 0700) < 0 && errno != EEXIST)
			return -errno;
		if (mkdir(path, 0700) == 0)
			return 0;
		if (errno == EEXIST)
			remove_folder(path);
		else if (errno != ENOENT)
			return -errno;
	}
	return -EBUSY;
}

int bpf_pins_make(int root, char path[BPF_PINS_PATH_MAX])
{
	char folder[BPF_PINS_PATH_MAX];
	struct statfs fs;
	int err;

	path[0] = '\0';
	if (statfs(BPFFS, &fs) < 0)
		return -errno;
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return -ENODEV;
	root_path(root, folder);
	snprintf(path, BPF_PINS_PATH_MAX, "%.64s/%d", folder, (int)getpid());
	err = make_folders(root, path);
	if (err)
		path[0] = '\0';
	return err;
}

void bpf_pins_remove(const char *path)
{
	if (!*path)
		return;
	remove_folder(path);
	rmdir(KSPLIT_PIN_ROOT); /* refused while another daemon's folder is in it */
}
