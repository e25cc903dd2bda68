/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_CONTROL_SOCKET_H
#define KSPLIT_EXPORT_CONTROL_SOCKET_H

#include <sys/stat.h>

/* The control socket's place in the file system. */
struct control_socket {
	int fd; /* listening, non-blocking */
	char *path;
	dev_t dev; /* which file we made: somebody may have put another in its place */
	ino_t ino;
};

/*
 * Make the folder if need be, take the path over from a dead daemon, bind, 0660, listen. The caller
 * gives `socket` back with control_socket_close. 0 or -errno (control_open names them).
 */
int control_socket_open(const char *path, struct control_socket *socket);

/*
 * The same beside a live daemon, whose place this one takes: the socket listens before it has the
 * path, and gets it in one step.
 */
int control_socket_take_over(const char *path, struct control_socket *socket);

/* Close and, if the path is still our socket, remove it. */
void control_socket_close(struct control_socket *socket);

#endif
