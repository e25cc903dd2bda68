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
#include "core/handover_give.h"
#include "core/handover_take.h"
#include "core/launcher.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "core/print_rules.h"
#include "core/privileges.h"
#include "core/reload.h"
#include "core/sandbox.h"
#include "core/server.h"
#include "core/tapping.h"
#include "core/service.h"
#include "core/sessions.h"
#include "core/watchdog.h"
#include "observe/bpf_pins.h"

#define EXIT_OK     0 /* ended in order */
#define EXIT_FAILED 1 /* could not start, though the configuration is right */
#define EXIT_CONFIG 2 /* configuration or command line */

#define ERROR_LEN 1024
#define POLL_MS   50

/* How ksplitd was started. */
struct start {
	struct launcher_options launcher;
	char program[4096]; /* "": unknown */
	struct handover_take *takeover; /* NULL: none */
};

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
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
	const int waits[] = {service_watch_ms(server), sessions_watch_ms(server),
			     watchdog_wait_ms(server->watchdog), reload_watch_ms(server->reload)};
	int first = -1;

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		if (waits[i] >= 0 && (first < 0 || waits[i] < first))
			first = waits[i];
	return first;
}

/* What the main thread does again and again, each at its time. */
static void do_chores(struct server *server)
{
	service_watch(server);
	sessions_watch(server);
	watchdog_run(server->watchdog);
	reload_watch(server->reload);
}

/* Until SIGTERM or SIGINT, or another ksplitd has taken over. */
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
		case SIGUSR2: {
			bool over = handover_give_signal(server->handover);

			reload_note_handover(server->reload);
			if (over)
				return;
			break;
		}
		case SIGHUP:
			reopen_log(server);
			reload_run(server->reload, "SIGHUP");
			break;
		default: break;
		}
	}
}

/* Until the connections have ended by themselves, or the time is up; true: a signal has come. */
static bool wait_end(struct server *server, const sigset_t *set, uint32_t limit_ms)
{
	uint64_t until = worker_clock_us() + (uint64_t)limit_ms * 1000;

	while (!server_ended(server) && worker_clock_us() < until) {
		int sig = wait_signal(set, POLL_MS);

		watchdog_run(server->watchdog);
		if (sig == SIGTERM || sig == SIGINT)
			return true;
	}
	return false;
}

static void drain(struct server *server, const sigset_t *set)
{
	const uint32_t limit_ms = server->generation->config->deadlines.drain;

	log_info("ending: no new connections; those that are open have %u s", limit_ms / 1000);
	notify_stopping();
	server_drain(server);
	if (wait_end(server, set, limit_ms))
		log_info("second signal: ending now");
}

/* Another ksplitd has taken over; what is open here is nobody else's. */
static void retire(struct server *server, const sigset_t *set)
{
	const struct config_deadlines *deadlines = &server->generation->config->deadlines;

	log_info("ending after the upgrade: connections that are open have %u s",
		 deadlines->upgrade_drain / 1000);
	server_retire(server);
	launcher_stop(server->launcher);
	server->launcher = NULL;
	if (!wait_end(server, set, deadlines->upgrade_drain))
		return;
	log_info("ending: connections that are open have %u s", deadlines->drain / 1000);
	if (wait_end(server, set, deadlines->drain))
		log_info("second signal: ending now");
}

/* The ksplitd to take over from goes on, but what was accepted here already is ours to serve. */
static void give_back(struct server *server, const sigset_t *set, const char *why)
{
	if (!server->takeover)
		return;
	server_hold(server);
	handover_take_refuse(server->takeover, why);
	if (!server->workers[0].thread_started)
		return;
	server_drain(server);
	wait_end(server, set, server->generation->config->deadlines.drain);
}

/* When all programs are loaded. Without it all works, with less behind it. */
static void enter_sandbox(void)
{
	int err = sandbox_enter();

	if (err)
		log_warn("no seccomp filter: %s; is CONFIG_SECCOMP_FILTER in this kernel?",
			 strerror(-err));
}

/* What later looks at how the daemon was started. */
static int prepare_later(struct server *server, const struct start *start, char *error,
			 size_t error_len)
{
	int err = launcher_start(&start->launcher, &server->launcher);

	if (!err)
		err = reload_new(server, &start->launcher, &server->reload);
	if (err)
		snprintf(error, error_len, "cannot start the launcher: %s", strerror(-err));
	return err;
}

static int drop_privileges(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->generation->config;

	if (config->user && geteuid() == 0 &&
	    (config->sampler == SAMPLER_AUTO || config->sampler == SAMPLER_BPF))
		server->pin_root = bpf_pins_open_root();
	return privileges_drop(config, server->pin_root, error, error_len);
}

static int run(struct server *server, const struct start *start, struct background *background,
	       const sigset_t *set)
{
	char error[ERROR_LEN], status[96];

	/* Before there are threads: a fork has none, and capabilities are a thread's. */
	if (prepare_later(server, start, error, sizeof(error)) ||
	    drop_privileges(server, error, sizeof(error)) ||
	    server_start(server, error, sizeof(error))) {
		log_error("%s", error);
		background_failed(background, error);
		give_back(server, set, error);
		return EXIT_FAILED;
	}
	enter_sandbox();
	snprintf(status, sizeof(status), "%zu worker%s, at most %zu connections",
		 server->workers_len, server->workers_len == 1 ? "" : "s", server->max_connections);
	log_info("ready: %s", status);
	background_ready(background);
	notify_ready(status);
	serve(server, set);
	if (handover_give_end(server->handover))
		retire(server, set);
	else
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
	if (server_init(&server, config, start->takeover, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		handover_take_refuse(start->takeover, error);
		server_destroy(&server);
		return EXIT_FAILED;
	}
	/* Who takes over is started by nobody that waits. */
	if (!foreground && !start->takeover) {
		int err = background_enter(&background);

		if (err) {
			fprintf(stderr, "ksplitd: cannot go to the background: %s\n",
				strerror(-err));
			server_destroy(&server);
			return EXIT_FAILED;
		}
	}
	if (!foreground)
		log_setup(server.generation->config->log_level, true);
	status = run(&server, start, &background, &signals);
	server_destroy(&server);
	return status;
}

/* --check: read what the configuration names, open no socket and start nothing. */
static int check(struct config *config)
{
	char error[ERROR_LEN] = "", warning[400];
	const bool has_warning = tapping_warning(config, warning, sizeof(warning));

	if (server_check(config, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		return EXIT_CONFIG;
	}
	if (has_warning)
		printf("ksplitd: warning: %s\n", warning);
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
	char error[ERROR_LEN];

	if (config->print_rules)
		return print(config);
	if (config->check)
		return check(config);
	remember_start(&start, argc, argv);
	bind_now(&start);
	log_setup(config->log_level, false);
	if (handover_take_open(&start.takeover, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		config_delete(config);
		return EXIT_FAILED;
	}
	return serve_as_told(config, &start);
}

/* Whoever waits for this ksplitd to take over is to know why it does not. */
static void refuse_takeover(const char *why)
{
	struct handover_take *takeover = NULL;
	char error[ERROR_LEN];

	if (handover_take_open(&takeover, error, sizeof(error)) == 0)
		handover_take_refuse(takeover, why);
	handover_take_free(takeover);
}

int main(int argc, char **argv)
{
	enum options_action action;
	struct config *config = config_new();
	char error[ERROR_LEN] = "out of memory";
	int status = EXIT_OK;

	if (!config || options_read(argc, argv, config, &action, error, sizeof(error))) {
		fprintf(stderr, "ksplitd: %s\n", error);
		refuse_takeover(error);
		status = EXIT_CONFIG;
	} else if (action == OPTIONS_RUN) {
		return obey(config, argc, argv);
	}
	config_delete(config);
	return status;
}
