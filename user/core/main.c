// SPDX-License-Identifier: GPL-2.0-or-later
/* ksplitd: start, wait for signals, end. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "core/background.h"
#include "core/config.h"
#include "core/launcher.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "core/print_rules.h"
#include "core/privileges.h"
#include "core/sandbox.h"
#include "core/server.h"
#include "core/service.h"
#include "core/watchdog.h"

#define EXIT_OK     0 /* ended in order */
#define EXIT_FAILED 1 /* could not start, though the configuration is right */
#define EXIT_CONFIG 2 /* configuration or command line */

#define ERROR_LEN 1024
#define POLL_MS   50

/* How ksplitd was started. */
struct start {
	struct launcher_options launcher;
	char program[4096]; /* "": unknown */
};

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void reopen_log(const struct server *server)
{
	int err = server->access_log ? access_log_reopen(server->access_log) : 0;

	if (err)
		log_error("access log %s: cannot open it again: %s; the old file stays in use",
			  server->generation->config->access_log, strerror(-err));
}

/* -1: the time is up without a signal. */
static int wait_signal(const sigset_t *set, int timeout_ms)
{
	const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
					 .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
	int sig;

	do {
		sig = timeout_ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &timeout);
	} while (sig < 0 && errno == EINTR);
	return sig;
}

/* How long until do_chores has something to do, ms; -1: for ever. */
static int chores_wait_ms(const struct server *server)
{
	int service = service_watch_ms(server), watchdog = watchdog_wait_ms(server->watchdog);

	return service < 0 || (watchdog >= 0 && watchdog < service) ? watchdog : service;
}

/* What the main thread does again and again, each at its time. */
static void do_chores(struct server *server)
{
	service_watch(server);
	watchdog_run(server->watchdog);
}

/* Until SIGTERM or SIGINT. */
static void serve(struct server *server, const sigset_t *set)
{
	for (;;) {
		int wait_ms = chores_wait_ms(server);
		int sig = server->capturing ? capturing_wait(server->capturing, set, wait_ms)
					    : wait_signal(set, wait_ms);

		do_chores(server);
		switch (sig) {
		case SIGTERM:
		case SIGINT: return;
		case SIGUSR1: reopen_log(server); break;
		case SIGHUP:
			log_warn("SIGHUP: reloading is not supported yet by this version; the "
				 "configuration stays as it is");
			break;
		default: break;
		}
	}
}

/* Connections end by themselves, or the time is up, or a second signal comes. */
static void drain(struct server *server, const sigset_t *set)
{
	uint64_t until = worker_clock_us() + (uint64_t)server->generation->config->deadlines.drain * 1000;

	log_info("ending: no new connections; those that are open have %u s",
		 server->generation->config->deadlines.drain / 1000);
	notify_stopping();
	server_drain(server);
	while (!server_ended(server) && worker_clock_us() < until) {
		int sig = wait_signal(set, POLL_MS);

		watchdog_run(server->watchdog);
		if (sig == SIGTERM || sig == SIGINT) {
			log_info("second signal: ending now");
			return;
		}
	}
}

/* When all programs are loaded. Without it all works, with less behind it. */
static void enter_sandbox(void)
{
	int err = sandbox_enter();

	if (err)
		log_warn("no seccomp filter: %s; is CONFIG_SECCOMP_FILTER in this kernel?",
			 strerror(-err));
}

static int start_launcher(struct server *server, const struct start *start, char *error,
			  size_t error_len)
{
	int err = launcher_start(&start->launcher, &server->launcher);

	if (err)
		snprintf(error, error_len, "cannot start the launcher: %s", strerror(-err));
	return err;
}

static int run(struct server *server, const struct start *start, struct background *background,
	       const sigset_t *set)
{
	char error[ERROR_LEN], status[96];

	/* Before there are threads: a fork has none, and capabilities are a thread's. */
	if (start_launcher(server, start, error, sizeof(error)) ||
	    privileges_drop(server->generation->config, error, sizeof(error)) ||
	    server_start(server, error, sizeof(error))) {
		log_error("%s", error);
		background_failed(background, error);
		return EXIT_FAILED;
	}
	enter_sandbox();
	snprintf(status, sizeof(status), "%zu worker%s, at most %zu connections",
		 server->workers_len, server->workers_len == 1 ? "" : "s", server->max_connections);
	log_info("ready: %s", status);
	background_ready(background);
	notify_ready(status);
	serve(server, set);
	drain(server, set);
	return EXIT_OK;
}

/* Plaintext and keys must not reach a core file (prctl(2)). */
static void forbid_core(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

/*
 * A library's function that is bound on its first call is looked up with the vector registers saved
 * on the stack, and those hold what was copied last: plaintext, which would stay there. The dynamic
 * linker binds the libraries' calls at once only when it is told before it starts (ld.so(8)).
 */
static void bind_now(const struct start *start)
{
	if (getenv("LD_BIND_NOW") || !start->program[0])
		return;
	if (setenv("LD_BIND_NOW", "1", 1) == 0)
		execv(start->program, start->launcher.argv);
}

static void remember_start(struct start *start, int argc, char **argv)
{
	ssize_t len = readlink("/proc/self/exe", start->program, sizeof(start->program) - 1);

	start->program[len > 0 ? len : 0] = '\0';
	start->launcher = (struct launcher_options){
		.argc = argc,
		.argv = argv,
		.program = start->program,
		/* a daemon in the background is elsewhere */
		.folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
}

static int serve_as_told(struct config *config, const struct start *start)
{
	struct background background = {.notify_fd = -1};
	struct server server;
	const bool foreground = config->foreground;
	char error[ERROR_LEN] = "";
	sigset_t signals;
	int status = EXIT_FAILED;

	forbid_core();
	block_signals(&signals);
	if (server_init(&server, config, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		server_destroy(&server);
		return EXIT_FAILED;
	}
	if (!foreground) {
		int err = background_enter(&background);

		if (err) {
			fprintf(stderr, "ksplitd: cannot go to the background: %s\n",
				strerror(-err));
			server_destroy(&server);
			return EXIT_FAILED;
		}
		log_setup(server.generation->config->log_level, true);
	}
	status = run(&server, start, &background, &signals);
	server_destroy(&server);
	return status;
}

/* --check: read what the configuration names, open no socket and start nothing. */
static int check(struct config *config)
{
	char error[ERROR_LEN] = "";

	if (server_check(config, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		return EXIT_CONFIG;
	}
	printf("ksplitd: the configuration is good\n");
	return EXIT_OK;
}

static int print(struct config *config)
{
	int status = print_rules(config);

	config_delete(config);
	return status;
}

/* Takes over the configuration, as all that are called here. */
static int obey(struct config *config, int argc, char **argv)
{
	struct start start;

	if (config->print_rules)
		return print(config);
	if (config->check)
		return check(config);
	remember_start(&start, argc, argv);
	bind_now(&start);
	log_setup(config->log_level, false);
	return serve_as_told(config, &start);
}

int main(int argc, char **argv)
{
	enum options_action action;
	struct config *config = config_new();
	char error[ERROR_LEN] = "out of memory";
	int status = EXIT_OK;

	if (!config || options_read(argc, argv, config, &action, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		status = EXIT_CONFIG;
	} else if (action == OPTIONS_RUN) {
		return obey(config, argc, argv);
	}
	config_delete(config);
	return status;
}
