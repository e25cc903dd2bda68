// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/control_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static int fill_address(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!path[0])
		return -ENOENT;
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* mkdir, and mode 0755 whatever the umask. A folder that is there already stays as it is. */
static int make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int err = 0;

	if (!slash || slash == path)
		return 0;
	folder = strndup(path, (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	if ((mkdir(folder, 0755) || chmod(folder, 0755)) && errno != EEXIST)
		err = -errno;
	free(folder);
	return err;
}

/*
 * Remove the socket that a dead daemon left. 0, -EEXIST (not a socket), -EADDRINUSE (somebody
 * listens) or another -errno.
 */
static int clear_leftover(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->sun_path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = make_socket();
	if (fd < 0)
		return fd;
	/* non-blocking: a live daemon with a full backlog gives EAGAIN */
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	if (err == 0 || err == EAGAIN)
		return -EADDRINUSE;
	if (err != ECONNREFUSED)
		return -err;
	return unlink(address->sun_path) ? -errno : 0;
}

static int bind_path(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)address;
	int err;

	if (bind(fd, sa, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	err = clear_leftover(address);
	if (err)
		return err;
	return bind(fd, sa, sizeof(*address)) ? -errno : 0;
}

/* Nobody can connect before listen(2): the mode is right before the first client. */
static int publish(struct control_socket *socket)
{
	struct stat st;

	if (lstat(socket->path, &st))
		return -errno;
	socket->dev = st.st_dev;
	socket->ino = st.st_ino;
	if (chmod(socket->path, 0660) || listen(socket->fd, BACKLOG))
		return -errno;
	return 0;
}

int control_socket_open(const char *path, struct control_socket *out)
{
	struct control_socket made = {.fd = -1};
	struct sockaddr_un address;
	int err = fill_address(path, &address);

	if (!err)
		err = make_folder(path);
	if (err)
		return err;
	made.path = strdup(path);
	if (!made.path)
		return -ENOMEM;
	made.fd = make_socket();
	err = made.fd < 0 ? made.fd : bind_path(made.fd, &address);
	if (!err)
		err = publish(&made);
	if (err) {
		control_socket_close(&made);
		return err;
	}
	*out = made;
	return 0;
}

/* rename(2) puts it in the other's place: at every moment somebody can be asked there. */
static int move(struct control_socket *socket, const char *path)
{
	char *name = strdup(path);

	if (!name)
		return -ENOMEM;
	if (rename(socket->path, name)) {
		int err = -errno;

		free(name);
		return err;
	}
	free(socket->path);
	socket->path = name;
	return 0;
}

int control_socket_take_over(const char *path, struct control_socket *out)
{
	struct control_socket made;
	struct stat st;
	char *temporary;
	int err;

	/* what is no socket is somebody's file */
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (asprintf(&temporary, "%s.%d", path, (int)getpid()) < 0)
		return -ENOMEM;
	err = control_socket_open(temporary, &made);
	free(temporary);
	if (err)
		return err;
	err = move(&made, path);
	if (err)
		control_socket_close(&made);
	else
		*out = made;
	return err;
}

void control_socket_close(struct control_socket *socket)
{
	struct stat st;

	if (socket->ino && lstat(socket->path, &st) == 0 && st.st_dev == socket->dev &&
	    st.st_ino == socket->ino)
		unlink(socket->path);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->path);
}
