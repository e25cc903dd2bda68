// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc_listener.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INODES           64
#define TCP_LISTEN_STATE 0x0a

struct inodes {
	unsigned long inode[INODES];
	size_t len;
};

static void collect(const char *path, uint16_t port, struct inodes *inodes)
{
	FILE *file = fopen(path, "re");
	unsigned long inode;
	unsigned int local, state;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return;
	while (getline(&line, &size, file) >= 0 && inodes->len < INODES) {
		if (sscanf(line, " %*u: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local,
			   &state, &inode) == 3 &&
		    local == port && state == TCP_LISTEN_STATE)
			inodes->inode[inodes->len++] = inode;
	}
	free(line);
	fclose(file);
}

/* Is the link of a descriptor ("socket:[1234]") one of these? */
static bool is_one(const char *link, const struct inodes *inodes)
{
	unsigned long inode;

	if (sscanf(link, "socket:[%lu]", &inode) != 1)
		return false;
	for (size_t i = 0; i < inodes->len; i++) {
		if (inodes->inode[i] == inode)
			return true;
	}
	return false;
}

static bool process_holds(const char *pid, const struct inodes *inodes)
{
	char path[64], link[64];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	folder = opendir(path);
	if (!folder)
		return false;
	while (!found && (entry = readdir(folder)) != NULL) {
		len = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);
		if (len > 0) {
			link[len] = '\0';
			found = is_one(link, inodes);
		}
	}
	closedir(folder);
	return found;
}

static void read_name(const char *pid, char name[16])
{
	char path[64];
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(name, 16, file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

bool proc_listener_find(uint16_t port, pid_t *pid, char name[16])
{
	struct inodes inodes = {.len = 0};
	struct dirent *entry;
	bool found = false;
	DIR *proc;

	collect("/proc/net/tcp", port, &inodes);
	collect("/proc/net/tcp6", port, &inodes);
	proc = inodes.len ? opendir("/proc") : NULL;
	if (!proc)
		return false;
	while (!found && (entry = readdir(proc)) != NULL) {
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) &&
		    process_holds(entry->d_name, &inodes)) {
			*pid = (pid_t)strtol(entry->d_name, NULL, 10);
			read_name(entry->d_name, name);
			found = true;
		}
	}
	closedir(proc);
	return found;
}
