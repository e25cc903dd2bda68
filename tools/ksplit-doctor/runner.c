// SPDX-License-Identifier: GPL-2.0-or-later
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void runner_init(struct runner *runner, const struct settings *settings, unsigned int check_s,
		 runner_tell *tell, void *context)
{
	runner->settings = settings;
	runner->check_ms = (int64_t)check_s * 1000;
	runner->end_ms = now_ms() + RUNNER_TOTAL_MS;
	runner->tell = tell;
	runner->context = context;
}

static void tell_not_tried(struct runner *runner, const struct check *check, const char *why)
{
	struct finding finding = {.verdict = VERDICT_NOT_TRIED, .works = WORKS_UNKNOWN};

	snprintf(finding.text, sizeof(finding.text), "%s", why);
	runner->tell(runner->context, check, &finding);
}

/* What an attempt's answer means, by the table's word. */
static void attempt_judge(const struct check *check, const struct attempt *attempt, int rc,
			  struct finding *finding)
{
	const char *why = *attempt->why ? attempt->why : strerror(-rc);

	finding->works = WORKS_UNKNOWN;
	finding->verdict = VERDICT_NOT_TRIED;
	if (rc == ATTEMPT_UNKNOWN) {
		snprintf(finding->text, sizeof(finding->text), "%s: %s", check->what, attempt->why);
		return;
	}
	/* Whatever it said: some features are simply not there for those without privilege. */
	if (rc && check->caps && !caps_any(check->caps)) {
		snprintf(finding->text, sizeof(finding->text),
			 "%s: needs root (the kernel said: %s)", check->what, why);
		return;
	}
	finding->works = rc ? WORKS_NO : WORKS_YES;
	if (rc == 0) {
		finding->verdict = VERDICT_OK;
		snprintf(finding->text, sizeof(finding->text), "%s%s%s", check->what,
			 *attempt->why ? ": " : "", attempt->why);
		return;
	}
	if (check->weight == WEIGHT_NONE) {
		finding->verdict = VERDICT_OK;
		snprintf(finding->text, sizeof(finding->text), "not there, nothing is lost: %s",
			 check->what);
		return;
	}
	if (rc == -ENOPKG) {
		snprintf(finding->text, sizeof(finding->text),
			 "does not work: %s (there is no kernel TLS)", check->what);
		snprintf(finding->mend, sizeof(finding->mend), "see ktls-ulp");
		finding->verdict = VERDICT_WARN;
		return;
	}
	finding->verdict = check->weight == WEIGHT_FATAL ? VERDICT_FAIL : VERDICT_WARN;
	snprintf(finding->text, sizeof(finding->text), "does not work: %s (%s)", check->what, why);
	if (check->mend)
		snprintf(finding->mend, sizeof(finding->mend), "%s", check->mend);
}

/* In the check's own process. */
static void child_run(struct runner *runner, const struct check *check, int pipe, pid_t parent)
{
	struct attempt attempt = {.settings = runner->settings};
	struct look look = {.settings = runner->settings, .pipe = pipe};
	struct finding finding = {0};
	sigset_t none;
	ssize_t n;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* A group of its own: what the check starts is ended together with it. */
	setpgid(0, 0);
	if (check->look) {
		check->look(&look);
		_exit(0);
	}
	attempt_judge(check, &attempt, check->attempt(&attempt), &finding);
	n = write(pipe, &finding, sizeof(finding));
	_exit(n == (ssize_t)sizeof(finding) ? 0 : 1);
}

/* Read findings until the check's process has closed its end. 0, -ETIMEDOUT, -EINTR. */
static int findings_read(struct runner *runner, const struct check *check, int fd, int64_t end_ms,
			 unsigned int *told)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	struct finding finding;
	struct timespec timeout;
	sigset_t none;
	int64_t left;
	ssize_t n;
	int ready;

	sigemptyset(&none);
	for (;;) {
		left = end_ms - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		timeout.tv_sec = left / 1000;
		timeout.tv_nsec = left % 1000 * 1000000;
		ready = ppoll(&pollfd, 1, &timeout, &none);
		if (ready < 0)
			return -errno;
		if (ready == 0)
			continue;
		n = read(fd, &finding, sizeof(finding));
		if (n != (ssize_t)sizeof(finding))
			return 0;
		runner->tell(runner->context, check, &finding);
		++*told;
	}
}

static int check_watch(struct runner *runner, const struct check *check, int fd, pid_t pid)
{
	int64_t end_ms = now_ms() + runner->check_ms;
	unsigned int told = 0;
	char text[96];
	int rc, status = 0;

	rc = findings_read(runner, check, fd, end_ms < runner->end_ms ? end_ms : runner->end_ms,
			   &told);
	if (rc)
		kill(pid, SIGKILL);
	/* Helpers that it left, too; the group may be gone already. */
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	cgroup_sweep();
	if (rc == -EINTR)
		return rc;
	if (rc == -ETIMEDOUT)
		tell_not_tried(runner, check, "took too long, and was ended");
	else if (WIFSIGNALED(status) && !told) {
		snprintf(text, sizeof(text), "the attempt was ended by signal %d",
			 WTERMSIG(status));
		tell_not_tried(runner, check, text);
	} else if (!told)
		tell_not_tried(runner, check, "the attempt told nothing");
	return 0;
}

int runner_run(struct runner *runner, const struct check *check)
{
	pid_t pid, self = getpid();
	int ends[2];
	int rc;

	if (now_ms() >= runner->end_ms) {
		tell_not_tried(runner, check, "no time was left");
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC)) {
		tell_not_tried(runner, check, strerror(errno));
		return 0;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child_run(runner, check, ends[1], self);
	}
	close(ends[1]);
	if (pid < 0) {
		tell_not_tried(runner, check, strerror(errno));
		rc = 0;
	} else {
		rc = check_watch(runner, check, ends[0], pid);
	}
	close(ends[0]);
	return rc;
}
