// SPDX-License-Identifier: GPL-2.0-or-later
/* Make all that the new configuration needs, then have the workers change over. */
#include "core/reload_attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/config_keep.h"
#include "core/handover_give.h"
#include "core/launcher.h"
#include "core/log.h"
#include "core/options.h"
#include "core/pass_list.h"
#include "core/reload_capture.h"
#include "core/server.h"
#include "core/service.h"
#include "core/tapping.h"
#include "core/turnover.h"

#define LAUNCHER_TRIES 4

/* --- what is asked for --- */

/* Paths are those of the start, also for a daemon that has gone to the background since then. */
static int enter_folder(const struct launcher_options *start)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (here >= 0 && start->folder >= 0 && fchdir(start->folder)) {
		close(here);
		here = -1;
	}
	return here;
}

static void leave_folder(int here)
{
	if (here < 0)
		return;
	if (fchdir(here))
		log_error("reload: cannot go back to the folder before: %s", strerror(errno));
	close(here);
}

static int read_config(struct reload_attempt *attempt, struct config **out)
{
	const struct launcher_options *start = attempt->start;
	const struct config *now = attempt->server->generation->config;
	enum options_action action;
	struct config *config = config_new();
	int err = config ? options_read(start->argc, start->argv, config, &action, attempt->error,
					sizeof(attempt->error))
			 : -ENOMEM;

	if (!err && now->has_file && !config->has_file) {
		snprintf(attempt->error, sizeof(attempt->error),
			 CONFIG_PATH ": is not there any more");
		err = -ENOENT;
	}
	if (!err)
		err = config_keep_fixed(config, now, attempt->kept, sizeof(attempt->kept));
	/* Once more, as it would be with what is fixed. */
	if (!err)
		err = config_check(config, attempt->error, sizeof(attempt->error));
	if (!err)
		err = service_check_transparent(config, attempt->error, sizeof(attempt->error));
	if (err)
		config_delete(config);
	else
		*out = config;
	return err;
}

/* --- what it needs --- */

static int adopt_signer(struct reload_attempt *attempt, struct issuer *issuer,
			const struct config *config)
{
	const struct timespec pause = {.tv_nsec = 1000000000L / LAUNCHER_RATE};
	int fd, err = -EBUSY;
	pid_t pid;

	/* Somebody who asks often is served as often as the launcher allows it. */
	for (int i = 0; i < LAUNCHER_TRIES && err == -EBUSY; i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = launcher_signer(attempt->server->launcher, &fd, &pid, attempt->error,
				      sizeof(attempt->error));
	}
	return err ? err
		   : issuer_adopt(issuer, config, fd, pid, attempt->error, sizeof(attempt->error));
}

/* The present one, where it would come out the same. */
static int make_issuer(struct reload_attempt *attempt, const struct config *config,
		       struct issuer **out)
{
	struct issuer *now = attempt->server->generation->issuer, *issuer;
	int err = issuer_load(config, &issuer, attempt->error, sizeof(attempt->error));

	if (err)
		return err;
	if (issuer_is_same(now, issuer, config)) {
		issuer_put(issuer);
		*out = issuer_get(now);
		return 0;
	}
	err = issuer->ca ? adopt_signer(attempt, issuer, config) : 0;
	if (err)
		issuer_put(issuer);
	else
		*out = issuer;
	return err;
}

/* Takes over the configuration. */
static int make_generation(struct reload_attempt *attempt, struct config *config,
			   struct generation **out)
{
	struct issuer *issuer = NULL;
	int err = make_issuer(attempt, config, &issuer);

	if (err) {
		config_delete(config);
		return err;
	}
	err = generation_new(config, issuer, attempt->server->generation, out, attempt->error,
			     sizeof(attempt->error));
	issuer_put(issuer);
	return err;
}

static int prepare(struct reload_attempt *attempt, struct generation **out)
{
	const int here = enter_folder(attempt->start);
	struct config *config = NULL;
	int err = read_config(attempt, &config);

	if (!err)
		err = make_generation(attempt, config, out);
	leave_folder(here);
	return err;
}

/* --- change over --- */

static void retire(struct reload_attempt *attempt, struct generation *generation)
{
	STAILQ_INSERT_TAIL(&attempt->server->old, generation, link);
	attempt->old++;
}

/* From here on nothing fails any more. */
static void take_over(struct reload_attempt *attempt, struct generation *next)
{
	struct server *server = attempt->server;
	struct generation *before = server->generation;

	pthread_mutex_lock(&server->lock);
	server->generation = next;
	pthread_mutex_unlock(&server->lock);
	reload_capture_follow(server, before, next);
	retire(attempt, before);
	log_set_level(next->config->log_level);
	if (policy_is_same(&before->config->policy, &next->config->policy))
		return;
	/* They are counted by their place in the list. */
	pass_list_forget_rules(server->passes);
	pass_list_forget_rules(server->rule_counts);
}

/* Workers that hang do their part when they move again; until then there is no other reload. */
static void finish(struct reload_attempt *attempt, struct turnover *turnover)
{
	if (turnover_is_over(turnover)) {
		turnover_free(turnover);
		return;
	}
	log_warn("reload: a worker hangs; it follows when it moves again");
	attempt->unfinished = turnover;
}

static int change_over(struct reload_attempt *attempt, struct generation *next)
{
	struct taps_change *taps = NULL;
	struct turnover *turnover = NULL;
	int err = turnover_new(attempt->server, next, &turnover, attempt->error,
			       sizeof(attempt->error));

	if (err)
		return err;
	err = tapping_prepare(attempt->server, next->config, &taps, attempt->error,
			      sizeof(attempt->error));
	if (!err)
		err = turnover_open(turnover, attempt->error, sizeof(attempt->error));
	if (!err)
		err = reload_capture_change(attempt->server, next, attempt->error,
					    sizeof(attempt->error));
	if (err) {
		taps_abandon(taps);
		turnover_undo(turnover);
	} else {
		turnover_commit(turnover);
		take_over(attempt, next);
		taps_commit(taps);
		tapping_warn(next->config);
	}
	finish(attempt, turnover);
	return err;
}

/* --- all of it --- */

static bool has_unfinished(struct reload_attempt *attempt)
{
	if (attempt->unfinished && turnover_is_over(attempt->unfinished)) {
		turnover_free(attempt->unfinished);
		attempt->unfinished = NULL;
	}
	return attempt->unfinished;
}

/* It was started with more rights than it has now. */
static void tell_mend(struct reload_attempt *attempt, int err)
{
	const size_t used = strlen(attempt->error);

	if ((err == -EACCES || err == -EPERM) && attempt->server->generation->config->user)
		snprintf(attempt->error + used, sizeof(attempt->error) - used,
			 " (ksplitd runs as \"%.64s\" and has given up its other rights: "
			 "`ksplit-status "
			 "upgrade`, or a restart, has them once more)",
			 attempt->server->generation->config->user);
}

static int attempt_it(struct reload_attempt *attempt)
{
	struct generation *next = NULL;
	int err;

	if (has_unfinished(attempt)) {
		snprintf(attempt->error, sizeof(attempt->error),
			 "a worker hangs since the last reload and has not followed it yet");
		return -EBUSY;
	}
	if (handover_give_is_running(attempt->server->handover)) {
		snprintf(attempt->error, sizeof(attempt->error), "an upgrade is under way");
		return -EBUSY;
	}
	err = prepare(attempt, &next);
	if (err)
		return err;
	err = reload_capture_check(attempt->server, next, attempt->error, sizeof(attempt->error));
	attempt->beyond = err == -EOPNOTSUPP;
	if (!err)
		err = change_over(attempt, next);
	/* A worker that hangs may still have it. */
	if (err)
		retire(attempt, next);
	return err;
}

void reload_attempt_run(struct reload_attempt *attempt)
{
	int err;

	attempt->error[0] = attempt->kept[0] = '\0';
	attempt->beyond = false;
	err = attempt_it(attempt);
	attempt->failed = err;
	if (err && !attempt->error[0])
		snprintf(attempt->error, sizeof(attempt->error), "%s", strerror(-err));
	if (err)
		tell_mend(attempt, err);
	else
		attempt->error[0] = '\0';
	reload_attempt_reap(attempt);
}

void reload_attempt_reap(struct reload_attempt *attempt)
{
	struct generation_list *list = &attempt->server->old;
	struct generation_list kept = STAILQ_HEAD_INITIALIZER(kept);
	struct generation *generation;

	attempt->old = 0;
	while ((generation = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		if (generation_is_unused(generation)) {
			generation_put(generation);
			continue;
		}
		STAILQ_INSERT_TAIL(&kept, generation, link);
		attempt->old++;
	}
	STAILQ_CONCAT(list, &kept);
}

void reload_attempt_forget(struct reload_attempt *attempt)
{
	turnover_free(attempt->unfinished);
	attempt->unfinished = NULL;
}
