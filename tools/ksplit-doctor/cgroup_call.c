// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup_call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "pair.h"

int cgroup_call_prepare(struct attempt *attempt, int *rc)
{
	int cgroup = cgroup_make();

	if (cgroup >= 0)
		return cgroup;
	*rc = cgroup;
	if (cgroup == -ENOMEDIUM)
		*rc = attempt_why(attempt, ATTEMPT_UNKNOWN, "cgroup v2 is not mounted");
	else if (cgroup == -EROFS)
		*rc = attempt_why(attempt, ATTEMPT_UNKNOWN, "cgroup v2 is mounted read-only");
	return -1;
}

/* In the child, which tells by its exit code. */
static int enter_and_call(int cgroup, const struct cgroup_call *call)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	int fd, rc = cgroup_enter(cgroup);

	if (rc)
		return rc;
	fd = pair_connect(AF_INET, call->port);
	if (fd < 0)
		return fd;
	if (!call->expect)
		return 0;
	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		return -errno;
	return ntohs(peer.sin_port) == call->expect ? 0 : -EADDRNOTAVAIL;
}

int cgroup_call_make(int cgroup, const struct cgroup_call *call)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-enter_and_call(cgroup, call));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}
