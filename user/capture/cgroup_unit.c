// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/cgroup_unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 8 /* slices within slices */

static bool is_folder(const char *mount, const char *path)
{
	char full[2 * PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", mount, path);
	return stat(full, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* Units are in slices, and slices in slices. */
static bool is_looked_into(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && ends_in(entry->d_name, ".slice") &&
	       strcmp(entry->d_name, "user.slice") != 0;
}

/* `path` ("" or with a slash at its end) is where to look, and has the answer. */
static bool find_below(const char *mount, const char *unit, char path[PATH_MAX], int depth)
{
	char full[2 * PATH_MAX];
	size_t len = strlen(path);
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (depth > DEPTH_MAX || len + strlen(unit) >= PATH_MAX)
		return false;
	memcpy(path + len, unit, strlen(unit) + 1);
	if (is_folder(mount, path))
		return true;
	path[len] = '\0';
	snprintf(full, sizeof(full), "%s/%s", mount, path);
	dir = opendir(full);
	while (dir && !found && (entry = readdir(dir))) {
		size_t name_len = strlen(entry->d_name);

		if (!is_looked_into(entry) || len + name_len + 1 >= PATH_MAX)
			continue;
		memcpy(path + len, entry->d_name, name_len);
		memcpy(path + len + name_len, "/", 2);
		found = find_below(mount, unit, path, depth + 1);
		if (!found)
			path[len] = '\0';
	}
	if (dir)
		closedir(dir);
	return found;
}

int cgroup_unit_find(const char *mount, const char *unit, char path[PATH_MAX])
{
	path[0] = '\0';
	if (!*unit || strchr(unit, '/') || *unit == '.')
		return -ENOENT;
	return find_below(mount, unit, path, 0) ? 0 : -ENOENT;
}
