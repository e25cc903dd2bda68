// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/launcher_process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "core/config.h"
#include "core/fd_message.h"
#include "core/launcher_wire.h"
#include "core/options.h"
#include "core/worker.h"
#include "pki/ca.h"
#include "pki/signer_process.h"
#include "pki/token_bucket.h"

#define ERROR_LEN 1024
#define SEND_MS	  1000

struct process {
	const struct launcher_options *options;
	int fd;
	int last_fd; /* pidfd of the ksplitd that was started last; -1: none */
	struct token_bucket bucket;
};

/* --- a signing process --- */

/* Everything as at the daemon's own start: the same arguments, the same files, read anew. */
static void become_signer(const void *arg, int fd)
{
	const struct process *process = arg;
	const struct launcher_options *options = process->options;
	struct signer_options signer = {0};
	char error[ERROR_LEN] = "";
	enum options_action action;
	struct config config;
	struct ca *ca = NULL;
	int err;

	signal(SIGCHLD, SIG_DFL);
	config_init(&config);
	err = options_read(options->argc, options->argv, &config, &action, error, sizeof(error));
	if (!err && !(config.ca_cert && config.ca_key)) {
		snprintf(error, sizeof(error), "the configuration names no CA");
		err = -EINVAL;
	}
	if (!err)
		err = ca_load(config.ca_cert, &ca, error, sizeof(error));
	if (err)
		signer_process_refuse(fd, err, error);
	signer.ca = ca;
	signer.cert_file = config.ca_cert;
	signer.key_file = config.ca_key;
	signer.user = config.signer_user;
	signer.rate = config.sign_rate;
	/* its parent is this process and not the daemon, whose end closes its socket */
	signer.dies_with_parent = false;
	signer_process(&signer, fd);
}

/* --- a new ksplitd --- */

/*
 * What a service manager has told the daemon about itself (sd_listen_fds(3),
 * sd_watchdog_enabled(3)) is not told to another process: its listeners come from the daemon, the
 * watchdog is its own.
 */
static void set_environment(int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	setenv(LAUNCHER_HANDOVER, number, 1);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	snprintf(number, sizeof(number), "%d", (int)getpid());
	if (getenv("WATCHDOG_PID"))
		setenv("WATCHDOG_PID", number, 1);
}

static void become_daemon(const void *arg, int fd)
{
	const struct process *process = arg;
	sigset_t none;
	/* the one descriptor that is to survive */
	int kept = dup(fd);

	if (kept >= 0) {
		sigemptyset(&none);
		signal(SIGCHLD, SIG_DFL);
		signal(SIGPIPE, SIG_DFL);
		sigprocmask(SIG_SETMASK, &none, NULL);
		set_environment(kept);
		execv(process->options->program, process->options->argv);
	}
	_exit(127);
}

/* --- orders --- */

static void close_last(struct process *process)
{
	if (process->last_fd >= 0)
		close(process->last_fd);
	process->last_fd = -1;
}

static void answer(const struct process *process, uint32_t number, int err, pid_t pid, int fd)
{
	const struct launcher_answer said = {.number = number, .err = err, .pid = pid};

	fd_message_send(process->fd, &said, sizeof(said), &fd, fd >= 0, SEND_MS);
}

static void obey_start(struct process *process, uint32_t number, bool daemon)
{
	int fd = -1;
	pid_t pid = child_start(SOCK_SEQPACKET, daemon ? become_daemon : become_signer, process,
				&fd);

	if (daemon && pid > 0) {
		close_last(process);
		process->last_fd = pidfd_open(pid, 0);
	}
	answer(process, number, pid < 0 ? pid : 0, pid < 0 ? 0 : pid, fd);
	if (fd >= 0)
		close(fd);
}

static void obey_cancel(struct process *process, uint32_t number)
{
	int err = process->last_fd >= 0 &&
				  pidfd_send_signal(process->last_fd, SIGKILL, NULL, 0)
			  ? -errno
			  : 0;

	close_last(process);
	answer(process, number, err, 0, -1);
}

static void obey(struct process *process, const struct launcher_ask *ask)
{
	switch (ask->order) {
	case LAUNCHER_CANCEL: obey_cancel(process, ask->number); break;
	case LAUNCHER_SIGNER:
	case LAUNCHER_UPGRADE:
		if (token_bucket_take(&process->bucket, worker_clock_us()))
			obey_start(process, ask->number, ask->order == LAUNCHER_UPGRADE);
		else
			answer(process, ask->number, -EBUSY, 0, -1);
		break;
	default: answer(process, ask->number, -EINVAL, 0, -1); break;
	}
}

/* --- life --- */

_Noreturn void launcher_process(const struct launcher_options *options, int fd)
{
	struct process process = {.options = options, .fd = fd, .last_fd = -1};
	struct launcher_ask ask;
	ssize_t n;

	prctl(PR_SET_NAME, "ksplit-launcher");
	/*
	 * Signals are blocked (base/child.h) and stay so: those of the terminal and of service
	 * managers are the daemon's to handle. Children are nobody's to wait for.
	 */
	signal(SIGCHLD, SIG_IGN);
	child_close_others(fd, options->folder);
	if (options->folder >= 0 && fchdir(options->folder))
		_exit(1);
	token_bucket_init(&process.bucket, LAUNCHER_RATE, worker_clock_us());
	for (;;) {
		size_t no_fds = 0;

		n = fd_message_receive(fd, &ask, sizeof(ask), NULL, &no_fds, INT_MAX);
		if (n == 0)
			_exit(0);
		/* what is no order is not obeyed */
		if (n == sizeof(ask))
			obey(&process, &ask);
		else if (n < 0 && n != -ETIMEDOUT && n != -EMSGSIZE)
			_exit(1);
	}
}
