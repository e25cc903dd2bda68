// SPDX-License-Identifier: GPL-2.0-or-later
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define OUTPUT_MAX (1024 * 1024)
#define SECONDS    300
#define PATH_TEXT  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

bool program_find(const char *name, char buf[static PROGRAM_PATH_MAX])
{
	const char *folder = PATH_TEXT;

	for (;; folder += strcspn(folder, ":") + 1) {
		size_t len = strcspn(folder, ":");
		int n = snprintf(buf, PROGRAM_PATH_MAX, "%.*s/%s", (int)len, folder, name);

		if (n > 0 && n < PROGRAM_PATH_MAX && access(buf, X_OK) == 0)
			return true;
		if (!folder[len])
			return false;
	}
}

/* A file without a name; a chroot may have no /dev/null. */
static int input_make(const char *input)
{
	size_t len = input ? strlen(input) : 0;
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if ((len && write(fd, input, len) != (ssize_t)len) || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

__attribute__((noreturn)) static void child(const char *const *argv, int in, int out)
{
	/* The caller's variables stay: what maintainer scripts tell each other is among them. */
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0 && setenv("PATH", PATH_TEXT, 1) == 0 &&
	    setenv("LC_ALL", "C", 1) == 0)
		execv(argv[0], (char *const *)argv);
	dprintf(out, "%s\n", strerror(errno));
	_exit(127);
}

static long seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long)now.tv_sec;
}

/* Until it closes its output; false: time is up. What is beyond the buffer is read and dropped. */
static bool read_output(int fd, char *buf)
{
	const long until = seconds_now() + SECONDS;
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char dropped[4096];
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 || (n < 0 && errno == EINTR)) {
		const long left = until - seconds_now();
		bool full = len == OUTPUT_MAX - 1;

		if (left <= 0 || poll(&wait, 1, (int)left * 1000) == 0)
			return false;
		n = read(fd, full ? dropped : buf + len,
			 full ? sizeof(dropped) : OUTPUT_MAX - 1 - len);
		if (n > 0 && !full)
			len += (size_t)n;
	}
	buf[len] = '\0';
	return true;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_with(const char *const *argv, int in, const int out[2], char *buf)
{
	pid_t pid = fork();
	bool ended;
	int code;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(argv, in, out[1]);
	close(out[1]);
	ended = read_output(out[0], buf);
	if (!ended)
		kill(pid, SIGKILL);
	code = reap(pid);
	return ended ? code : -ETIMEDOUT;
}

int program_run(const char *const *argv, const char *input, char **output)
{
	char *buf = calloc(1, OUTPUT_MAX);
	int in = input_make(input);
	int out[2], code;

	if (output)
		*output = NULL;
	if (!buf || in < 0 || pipe2(out, O_CLOEXEC)) {
		code = !buf ? -ENOMEM : in < 0 ? in : -errno;
		free(buf);
		if (in >= 0)
			close(in);
		return code;
	}
	fflush(NULL);
	code = run_with(argv, in, out, buf);
	close(in);
	close(out[0]);
	if (output)
		*output = buf;
	else
		free(buf);
	return code;
}

/* Its last line that has something in it. */
static const char *last_line(char *text)
{
	size_t len = strlen(text);
	char *line;

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

void program_failed(const char *program, int code, const char *output)
{
	char *copy = strdup(output ? output : "");

	if (code < 0)
		say_error(CA_FAILED, "%s: %s", program, strerror(-code));
	else
		say_error(CA_FAILED, "%s: exit code %d: %s", program, code,
			  copy ? last_line(copy) : "");
	free(copy);
}

int program_must(const char *const *argv, const char *input)
{
	char *output;
	int code = program_run(argv, input, &output);

	if (code)
		program_failed(argv[0], code, output);
	free(output);
	return code ? -1 : 0;
}
