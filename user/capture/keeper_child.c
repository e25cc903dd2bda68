// SPDX-License-Identifier: GPL-2.0-or-later
/* The keeper's own process: see keeper.h. */
#include "capture/keeper_child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/child.h"
#include "capture/keeper_wire.h"

/* A daemon that does not read its reports for so long is no daemon any more. */
#define REPORT_MS 1000
#define MOURN_MS  150

struct child {
	int fd, signal_fd;
	struct nft_table *table;
	struct keeper_inbox inbox;
	char *texts; /* owned; those of struct keeper_rules, each with its NUL; NULL: none yet */
	bool wanted; /* told to load them */
	bool loaded; /* they are */
	bool held;   /* those for open connections are */
	bool has_owner;
	uint32_t watchdog_ms;
	int64_t beat_ms; /* the last one */
};

static void report(struct child *child, enum keeper_event event, int error, const char *text)
{
	const struct keeper_said said = {.event = event,
					 .error = error,
					 .loaded = child->loaded,
					 .held = child->held,
					 .has_owner = child->has_owner};

	keeper_wire_send(child->fd, KEEPER_MESSAGE_REPORT, &said, sizeof(said), text,
			 strlen(text) + 1, REPORT_MS);
}

/*
 * With an owner the rules cannot outlive this process, so it may be killed together with the
 * daemon, even while it is stopped; without, it has to take them out itself.
 */
static void follow_daemon(const struct child *child)
{
	prctl(PR_SET_PDEATHSIG, child->has_owner ? SIGKILL : SIGTERM);
}

/* The text after this one. */
static const char *next_text(const char *text)
{
	return text + strlen(text) + 1;
}

/* Load these texts; what was loaded before stays when they are refused. */
static int load(struct child *child, const char *texts, enum keeper_event done)
{
	char error[NFT_TABLE_ERROR] = "";
	bool has_owner;
	int err = nft_table_load(child->table, texts, next_text(texts), &has_owner, error,
				 sizeof(error));

	/* The work's own time is nobody's stall. */
	child->beat_ms = keeper_wire_now_ms();
	if (!err) {
		child->loaded = true;
		child->held = false;
		child->has_owner = has_owner;
		follow_daemon(child);
	}
	report(child, err ? KEEPER_FAILED : done, err, error);
	return err;
}

/* No table at all. 0, or -errno with a sentence; then the process has to end, which removes what
 * has an owner. */
static int remove_table(struct child *child, char *error, size_t error_len)
{
	int err = nft_table_remove(child->table, error, error_len);

	if (!err)
		child->loaded = child->held = child->has_owner = false;
	follow_daemon(child);
	return err;
}

/* Nothing is captured any more; open connections keep what they need, if that can be had. */
static int withdraw(struct child *child, char *error, size_t error_len)
{
	const char *open = child->texts ? next_text(next_text(child->texts)) : "";
	bool has_owner;

	if (!*open ||
	    nft_table_load(child->table, open, next_text(open), &has_owner, error, error_len))
		return remove_table(child, error, error_len);
	child->loaded = false;
	child->held = true;
	child->has_owner = has_owner;
	follow_daemon(child);
	return 0;
}

_Noreturn static void end(struct child *child)
{
	char error[NFT_TABLE_ERROR];

	nft_table_remove(child->table, error, sizeof(error));
	nft_table_free(child->table);
	_exit(0);
}

static void answer_removal(struct child *child, int err, const char *error)
{
	report(child, err ? KEEPER_FAILED : KEEPER_REMOVED, err, err ? error : "");
	if (err)
		end(child);
}

static void withdraw_as_told(struct child *child)
{
	char error[NFT_TABLE_ERROR] = "";

	child->wanted = false;
	answer_removal(child, child->loaded ? withdraw(child, error, sizeof(error)) : 0, error);
}

static void remove_as_told(struct child *child)
{
	char error[NFT_TABLE_ERROR] = "";

	child->wanted = false;
	answer_removal(child, remove_table(child, error, sizeof(error)), error);
}

/* Four texts and nothing behind them? */
static bool is_complete(const char *body, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += body[i] == '\0';
	return count == 4 && body[len - 1] == '\0';
}

static void load_as_told(struct child *child, const char *body, size_t len)
{
	char *texts;

	if (!is_complete(body, len)) {
		report(child, KEEPER_FAILED, -EPROTO, "an order that is not complete");
		return;
	}
	texts = malloc(len);
	if (!texts) {
		report(child, KEEPER_FAILED, -ENOMEM, "out of memory");
		return;
	}
	memcpy(texts, body, len);
	if (load(child, texts, KEEPER_LOADED)) {
		free(texts);
		return;
	}
	free(child->texts);
	child->texts = texts;
	child->wanted = true;
}

static void beat(struct child *child)
{
	child->beat_ms = keeper_wire_now_ms();
	/* What fails is not tried again here: the daemon decides. */
	if (child->wanted && !child->loaded && load(child, child->texts, KEEPER_RESUMED))
		child->wanted = false;
}

static void obey(struct child *child, const struct keeper_head *head, const char *body)
{
	switch (head->message) {
	case KEEPER_MESSAGE_BEAT: beat(child); break;
	case KEEPER_MESSAGE_LOAD: load_as_told(child, body, head->len); break;
	case KEEPER_MESSAGE_WITHDRAW: withdraw_as_told(child); break;
	case KEEPER_MESSAGE_REMOVE: remove_as_told(child); break;
	default: break;
	}
}

/*
 * The daemon has died: nothing is captured from now on, but while the kernel closes its sockets
 * their last words still have to be translated, or clients would wait for an answer until they give
 * up.
 */
_Noreturn static void mourn(struct child *child)
{
	char error[NFT_TABLE_ERROR];

	prctl(PR_SET_PDEATHSIG, 0);
	if (child->loaded && !withdraw(child, error, sizeof(error))) {
		prctl(PR_SET_PDEATHSIG, 0);
		if (child->held)
			poll(NULL, 0, MOURN_MS);
	}
	end(child);
}

static void read_orders(struct child *child)
{
	struct keeper_head head;
	const char *body;
	int err = keeper_wire_read(&child->inbox, child->fd);

	if (err)
		mourn(child); /* what it has said last does not count */
	while (keeper_wire_next(&child->inbox, &head, &body)) {
		obey(child, &head, body);
		keeper_wire_drop(&child->inbox);
	}
}

static void check_beat(struct child *child)
{
	char text[NFT_TABLE_ERROR];
	int err;

	if (!child->loaded || keeper_wire_now_ms() - child->beat_ms < child->watchdog_ms)
		return;
	err = withdraw(child, text, sizeof(text));
	report(child, err ? KEEPER_FAILED : KEEPER_STALLED, err, err ? text : "");
	if (err)
		end(child);
}

/* Milliseconds until the beat is missed; -1: nothing to miss. */
static int patience(const struct child *child)
{
	int64_t left = child->beat_ms + child->watchdog_ms - keeper_wire_now_ms();

	if (!child->loaded)
		return -1;
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static int open_signals(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void keeper_child_run(int fd, const struct keeper_options *options)
{
	struct child child = {.fd = fd, .watchdog_ms = options->watchdog_ms};
	char error[NFT_TABLE_ERROR];

	setsid();
	prctl(PR_SET_NAME, "ksplit-keeper");
	child_close_others(fd, -1);
	child.signal_fd = open_signals();
	follow_daemon(&child);
	if (child.signal_fd < 0 || nft_table_new(options->table, &child.table))
		_exit(1);
	/* What a ksplitd that was killed on an old kernel has left leads nowhere. */
	nft_table_remove(child.table, error, sizeof(error));
	for (;;) {
		struct pollfd fds[] = {{.fd = child.fd, .events = POLLIN},
				       {.fd = child.signal_fd, .events = POLLIN}};

		if (poll(fds, 2, patience(&child)) < 0 && errno != EINTR)
			end(&child);
		if (fds[1].revents)
			end(&child);
		/* First what was said: after a time in which the keeper itself stood still. */
		if (fds[0].revents)
			read_orders(&child);
		check_beat(&child);
	}
}
