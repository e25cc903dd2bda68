// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/notify.h"

#ifdef KSPLIT_SYSTEMD

#include <systemd/sd-daemon.h>

void notify_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=waiting for the connections that are open");
}

uint64_t notify_watchdog_us(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

void notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void notify_main_process(pid_t pid)
{
	sd_notifyf(0, "MAINPID=%d", (int)pid);
}

#else

void notify_ready(const char *status)
{
	(void)status;
}

void notify_stopping(void)
{
}

uint64_t notify_watchdog_us(void)
{
	return 0;
}

void notify_alive(void)
{
}

void notify_main_process(pid_t pid)
{
	(void)pid;
}

#endif
