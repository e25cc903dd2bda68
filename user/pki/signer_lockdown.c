// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/signer_lockdown.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Everything that a loop of recv, OpenSSL and send needs, also under a sanitizer. */
static const int allowed[] = {
	SCMP_SYS(recvfrom),	  SCMP_SYS(recvmsg),	   SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),	  SCMP_SYS(read),	   SCMP_SYS(write),
	SCMP_SYS(munmap),	  SCMP_SYS(mremap),	   SCMP_SYS(brk),
	SCMP_SYS(madvise),	  SCMP_SYS(futex),	   SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday),  SCMP_SYS(time),
	SCMP_SYS(getpid),	  SCMP_SYS(gettid),	   SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(sigaltstack),	  SCMP_SYS(close),	   SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static int fail(char *error, size_t error_len, int err, const char *what)
{
	snprintf(error, error_len, "the signing process: %s: %s", what, strerror(-err));
	return err;
}

static int look_up(const char *name, uid_t *uid, gid_t *gid, char *error, size_t error_len)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (!entry || entry->pw_uid == 0) {
		snprintf(error, error_len,
			 "\"ca.signer_user\": there is no user \"%.64s\" without root's rights; "
			 "make one, or name another",
			 name);
		return errno ? -errno : -EINVAL;
	}
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	return 0;
}

/*
 * Root becomes another; everybody loses capabilities, which could come back by nothing
 * (no_new_privs). A user namespace that does not map that user (user_namespaces(7), EINVAL) has
 * nobody else to be.
 */
static int change_user(const char *user, char *error, size_t error_len)
{
	uid_t uid;
	gid_t gid;
	int err;

	if (geteuid() == 0) {
		err = look_up(user, &uid, &gid, error, error_len);
		if (err)
			return err;
		if ((setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) &&
		    errno != EINVAL)
			return fail(error, error_len, -errno, "cannot become its own user");
	}
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return fail(error, error_len, -EPERM, "cannot give up its capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(error, error_len, -errno, "no_new_privs");
	return 0;
}

static int allow_memory(scmp_filter_ctx filter)
{
	/* anonymous memory that is never code: descriptor -1, no PROT_EXEC */
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				   SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));

	return err ? err
		   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int load_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!err)
		err = allow_memory(filter);
	if (!err)
		err = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return err;
}

static int close_others(int keep)
{
	if (keep > 0 && close_range(0, (unsigned int)keep - 1, 0))
		return -errno;
	return close_range((unsigned int)keep + 1, ~0U, 0) ? -errno : 0;
}

int signer_lockdown(int keep, const char *user, char *error, size_t error_len)
{
	int err = change_user(user, error, error_len);

	if (err)
		return err;
	err = close_others(keep);
	if (err)
		return fail(error, error_len, err, "cannot close descriptors");
	/* after the change of user, which sets it anew (prctl(2)) */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return fail(error, error_len, -errno, "cannot forbid core files");
	err = load_filter();
	return err ? fail(error, error_len, err, "no seccomp filter (CONFIG_SECCOMP_FILTER?)") : 0;
}
