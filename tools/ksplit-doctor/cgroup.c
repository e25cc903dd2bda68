// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_TRIES 50

/* The folder's path, whether it is there or not. 0 or -ENOMEDIUM. */
static int cgroup_path(pid_t doctor, char path[PATH_MAX])
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;
	int rc = -ENOMEDIUM;

	if (!mounts)
		return rc;
	while (rc && (mount = getmntent(mounts)) != NULL) {
		if (strcmp(mount->mnt_type, "cgroup2") == 0 &&
		    snprintf(path, PATH_MAX, "%s/ksplit-doctor-%d", mount->mnt_dir, (int)doctor) <
			    PATH_MAX)
			rc = 0;
	}
	endmntent(mounts);
	return rc;
}

int cgroup_make(void)
{
	char path[PATH_MAX];
	int fd, rc = cgroup_path(getppid(), path);

	if (rc)
		return rc;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_name(char *name, size_t len)
{
	static const char folder[] = "/sys/fs/cgroup/";
	char path[PATH_MAX];

	if (cgroup_path(getppid(), path) || strncmp(path, folder, strlen(folder)) != 0)
		return -ENOMEDIUM;
	return snprintf(name, len, "%s", path + strlen(folder)) < (int)len ? 0 : -ENOMEDIUM;
}

int cgroup_enter(int cgroup)
{
	int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* A process that was just killed is still in it for a moment. */
void cgroup_sweep(void)
{
	const struct timespec moment = {.tv_nsec = 20000000};
	char path[PATH_MAX];

	if (cgroup_path(getpid(), path))
		return;
	for (int i = 0; i < SWEEP_TRIES && rmdir(path) && errno == EBUSY; i++)
		nanosleep(&moment, NULL);
}
