/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_BACKGROUND_H
#define KSPLIT_CORE_BACKGROUND_H

/*
 * Going to the background (daemon(7), SysV daemons): the process that was started stays until the
 * daemon says that it is ready, so that its exit code tells whether it is.
 */
struct background {
	int notify_fd; /* -1: in the foreground */
};

/*
 * Fork and detach. Returns 0 in the daemon, -errno when there is none. The process that was started
 * does not return: it exits 0 on background_ready, 1 when the daemon failed or died before.
 */
int background_enter(struct background *background);

/* Tell the waiting process. Nothing happens in the foreground. */
void background_ready(struct background *background);
void background_failed(struct background *background, const char *error);

#endif
