// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ksplit/control.h>

#include "core/config_address.h"
#include "core/log.h"

#define BIT(capability)	  (UINT64_C(1) << (capability))
#define UNPRIVILEGED_PORT 1024 /* ip(7), ip_unprivileged_port_start */

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
};

__attribute__((format(printf, 4, 5))) static int fail(char *error, size_t error_len, int err,
						      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error, error_len, fmt, args);
	va_end(args);
	return err;
}

static bool needs_low_port(const struct config *config)
{
	struct config_listener listener = {0};
	const char *why;

	if (!config->metrics.prometheus[0] ||
	    config_address_parse_listen(config->metrics.prometheus, &listener, &why))
		return false;
	/* the same place in both families */
	return ntohs(listener.address.in.sin_port) < UNPRIVILEGED_PORT;
}

/* Sockets with addresses that are not ours, each call anew. */
static bool is_transparent(const struct config *config)
{
	for (size_t i = 0; i < config->listeners_len; i++)
		if (config->listeners[i].destination == DESTINATION_TPROXY ||
		    config->listeners[i].client_address == CLIENT_ADDRESS_TRANSPARENT)
			return true;
	return false;
}

uint64_t privileges_needed(const struct config *config)
{
	const bool sampling = config->sampler == SAMPLER_AUTO || config->sampler == SAMPLER_BPF;
	const bool hook = capture_has_hook(&config->capture);
	uint64_t needed = 0;

	if (sampling || hook)
		needed |= BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN);
	if (is_transparent(config) || hook || capture_has_rules(&config->capture))
		needed |= BIT(CAP_NET_ADMIN);
	if (needs_low_port(config))
		needed |= BIT(CAP_NET_BIND_SERVICE);
	return needed;
}

static int look_up(const char *name, struct user *user, char *error, size_t error_len)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (!entry)
		return fail(error, error_len, errno ? -errno : -EINVAL,
			    "\"user\": there is no user \"%.64s\"; make it, or name another", name);
	if (entry->pw_uid == 0)
		return fail(error, error_len, -EINVAL,
			    "\"user\": is \"%.64s\", which is root; name another, or leave it out",
			    name);
	*user = (struct user){.name = name, .uid = entry->pw_uid, .gid = entry->pw_gid};
	return 0;
}

/* The folder of a path, "" for one without; the caller frees it. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) : 0);
}

/*
 * A folder that is not there is made the user's. One that is there is somebody's, but for the
 * default, which only ksplitd makes.
 */
static int own_control_folder(const struct config *config, const struct user *user)
{
	char *folder = config->control[0] ? folder_of(config->control) : strdup("");
	bool made;
	int fd, err = 0;

	if (!folder)
		return -ENOMEM;
	made = folder[0] && mkdir(folder, 0755) == 0;
	if (made || strcmp(config->control, KSPLIT_CONTROL_PATH) == 0) {
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fchown(fd, user->uid, user->gid) || fchmod(fd, 0755))
			err = -errno;
		if (fd >= 0)
			close(fd);
	}
	free(folder);
	return err;
}

/*
 * The log is opened again by its path (SIGUSR1). It may lie in a folder of the user's: what it
 * could put there in the log's place (a link to another's file) must not become its own.
 */
static int own_access_log(const struct config *config, const struct user *user)
{
	const char *path = config->access_log;
	struct stat st;
	int fd, err = 0;

	if (!path || !strcmp(path, "-"))
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				O_CLOEXEC,
		  0640);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? 0 : -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (S_ISREG(st.st_mode) && st.st_nlink == 1 && fchown(fd, user->uid, user->gid))
		err = -errno;
	close(fd);
	return err;
}

static int own_files(const struct config *config, const struct user *user, int pin_root,
		     char *error, size_t error_len)
{
	int err = own_control_folder(config, user);

	if (err)
		return fail(error, error_len, err,
			    "the folder of the control socket %s cannot be made \"%s\"'s: %s",
			    config->control, user->name, strerror(-err));
	err = own_access_log(config, user);
	if (err)
		return fail(error, error_len, err, "access log %s cannot be made \"%s\"'s: %s",
			    config->access_log, user->name, strerror(-err));
	/* Without pins all else works: their absence is told when they are to be made. */
	if (pin_root > 0 &&
	    fchownat(pin_root, "", user->uid, user->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		log_warn("the folder of BPF pins cannot be made \"%s\"'s: %s", user->name,
			 strerror(errno));
	return 0;
}

/* What the process does not have (a container's) it cannot keep. False: /proc cannot be read. */
static bool choose_capabilities(uint64_t needed)
{
	uint64_t kept = 0;

	if (capng_get_caps_process())
		return false;
	for (unsigned int cap = 0; cap < 64; cap++)
		if ((needed & BIT(cap)) && capng_have_capability(CAPNG_PERMITTED, cap))
			kept |= BIT(cap);
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned int cap = 0; cap < 64; cap++)
		if (kept & BIT(cap))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	return true;
}

static int become(const struct user *user, uint64_t needed, char *error, size_t error_len)
{
	int rc;

	if (!choose_capabilities(needed))
		return fail(error, error_len, -EIO,
			    "\"user\": the capabilities of this process cannot be read; is /proc "
			    "mounted?");
	rc = capng_change_id((int)user->uid, (int)user->gid,
			     CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	if (rc)
		return fail(error, error_len, -EPERM,
			    "\"user\": cannot become \"%s\" (libcap-ng: %d); ksplitd needs "
			    "CAP_SETUID, CAP_SETGID and CAP_SETPCAP for it",
			    user->name, rc);
	/* both are set anew by a change of user (prctl(2)) or have not been set before */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return fail(error, error_len, -errno, "prctl: %s", strerror(errno));
	return 0;
}

int privileges_drop(const struct config *config, int pin_root, char *error, size_t error_len)
{
	struct user user = {0};
	int err;

	if (!config->user)
		return 0;
	err = look_up(config->user, &user, error, error_len);
	if (err || geteuid() == user.uid)
		return err;
	if (geteuid() != 0)
		return fail(error, error_len, -EPERM,
			    "\"user\": only root can become \"%s\"; start ksplitd as root or as "
			    "that user, or leave it out",
			    user.name);
	err = own_files(config, &user, pin_root, error, error_len);
	if (!err)
		err = become(&user, privileges_needed(config), error, error_len);
	if (!err)
		log_info("running as %s from now on", user.name);
	return err;
}
