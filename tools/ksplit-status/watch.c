// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ECMA-48, and xterm's alternate screen: what was on the terminal comes back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define CURSOR_HOME  "\033[H"
#define LINE_REST    "\033[K"
#define SCREEN_REST  "\033[J"

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
	(void)number;
	stop = 1;
}

/* A window that changes its size ends the wait, which draws anew. */
static void on_resize(int number)
{
	(void)number;
}

/* Handled, but blocked except in ppoll(2), so that none is lost between a test and a wait. */
static void signals_catch(void)
{
	static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_stop};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		sigaction(stops[i], &action, NULL);
		sigaddset(&set, stops[i]);
	}
	action.sa_handler = on_resize;
	sigaction(SIGWINCH, &action, NULL);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void wait_seconds(unsigned int seconds)
{
	struct timespec timeout = {.tv_sec = seconds};
	sigset_t none;

	sigemptyset(&none);
	ppoll(NULL, 0, &timeout, &none);
}

/* How many bytes of a line fill at most `columns`; sequences of UTF-8 stay whole. */
static size_t line_cut(const char *line, size_t len, size_t columns)
{
	size_t i, used = 0;

	for (i = 0; i < len; i++) {
		if (((unsigned char)line[i] & 0xc0) == 0x80)
			continue;
		if (used++ == columns)
			return i;
	}
	return len;
}

static unsigned int screen_rows(void)
{
	struct winsize size = {0};

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;
}

/* Does the terminal obey the sequences above? What has no name cannot be trusted to. */
static bool screen_able(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* Over what was there. */
static void screen_fill(FILE *out, const char *text, unsigned int columns)
{
	const unsigned int rows = screen_rows();
	unsigned int row;
	size_t len;

	fputs(CURSOR_HOME, out);
	for (row = 0; row < rows && *text; row++) {
		len = strcspn(text, "\n");
		if (row > 0)
			fputc('\n', out);
		/* First, since behind a full line it would take the last character away. */
		fputs(LINE_REST, out);
		if (row == rows - 1 && text[len] && text[len + 1])
			fputs("...", out);
		else
			fwrite(text, 1, line_cut(text, len, columns), out);
		text += len + (text[len] == '\n');
	}
	fputs(SCREEN_REST, out);
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= (size_t)n) {
		n = write(fd, data, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

/*
 * In one write(2), so that nothing blinks: not by stdio, whose buffer for a terminal is 1 KiB
 * whatever setvbuf(3) is told without one of one's own.
 */
static int screen_draw(const char *text, unsigned int columns)
{
	char *picture = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&picture, &len);
	int err;

	if (!out)
		return -errno;
	screen_fill(out, text, columns);
	err = fclose(out) != 0 || fflush(stdout) != 0 ? -EIO
						      : write_all(STDOUT_FILENO, picture, len);
	free(picture);
	return err;
}

/* One answer, whole before any of it is shown. Returns as command_run, or -errno. */
static int watch_once(const struct command *command, const char *path, const struct view *wanted,
		      bool screen, bool first)
{
	struct view view = *wanted;
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int code, err = 0;

	if (!memory)
		return -errno;
	view.columns = view_columns(stdout); /* it may have changed */
	code = command_run(command, path, &view, memory, screen ? memory : stderr);
	if (fclose(memory) != 0)
		code = -ENOMEM;
	if (code >= 0 && screen)
		err = screen_draw(text, view.columns);
	else if (code >= 0 && len)
		printf("%s%s", first || view.form != VIEW_TEXT ? "" : "\n", text);
	free(text);
	if (code >= 0 && fflush(stdout) != 0)
		return -EIO;
	return err ? err : code;
}

int watch_run(const struct command *command, const char *path, const struct view *view,
	      unsigned int seconds)
{
	const bool screen = view->form == VIEW_TEXT && screen_able();
	int code, last = STATUS_UNREACHABLE;
	bool first = true;

	signals_catch();
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	if (screen)
		fputs(SCREEN_ENTER, stdout);
	while (!stop) {
		code = watch_once(command, path, view, screen, first);
		if (code == -EINTR)
			continue;
		if (code < 0)
			break;
		last = code;
		first = false;
		wait_seconds(seconds);
	}
	if (screen)
		fputs(SCREEN_LEAVE, stdout);
	fflush(stdout);
	return last;
}
