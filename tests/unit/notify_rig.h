/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_NOTIFY_RIG_H
#define KSPLIT_TESTS_NOTIFY_RIG_H

/*
 * A service manager that asks for signs of life (sd_notify(3)): a socket of the test's own stands
 * for it. Include after cmocka.h.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_RIG_US "240000" /* what it gives */

struct notify_rig {
	char folder[64];
	struct sockaddr_un address;
	int fd; /* the manager's */
};

static inline void notify_rig_open(struct notify_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/ksplit-notify-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	rig->address.sun_family = AF_UNIX;
	snprintf(rig->address.sun_path, sizeof(rig->address.sun_path), "%s/notify", rig->folder);
	rig->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(rig->fd >= 0);
	assert_int_equal(bind(rig->fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	setenv("NOTIFY_SOCKET", rig->address.sun_path, 1);
	setenv("WATCHDOG_USEC", NOTIFY_RIG_US, 1);
	unsetenv("WATCHDOG_PID");
}

static inline void notify_rig_close(struct notify_rig *rig)
{
	close(rig->fd);
	unlink(rig->address.sun_path);
	rmdir(rig->folder);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* Has it heard once more that we are alive? It hears nothing else. */
static inline bool notify_rig_heard(const struct notify_rig *rig)
{
	char text[200] = "";

	if (recv(rig->fd, text, sizeof(text) - 1, 0) < 0)
		return false;
	assert_string_equal(text, "WATCHDOG=1");
	return true;
}

#endif
