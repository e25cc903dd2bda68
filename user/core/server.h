/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_SERVER_H
#define KSPLIT_CORE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/capturing.h"
#include "core/config.h"
#include "core/generation.h"
#include "core/own_sockets.h"
#include "core/resolver.h"
#include "core/worker.h"
#include "export/access_log.h"
#include "export/control.h"
#include "observe/observer.h"
#include "tls/ktls.h"

struct handover_give;
struct handover_take;
struct learned_pass;
struct listen_fds;
struct overload;
struct pass_list;
struct pulse;
struct session_cache;
struct reload;
struct taps;
struct watchdog;

/*
 * The daemon's root object: everything that lives as long as the process. Workers read it and share
 * no more than it.
 */
struct server {
	pthread_mutex_t lock;
	/*
	 * What new connections are accepted under; a reference. The main thread alone replaces it,
	 * under the lock, and reads it without; others ask server_generation.
	 */
	struct generation *generation;
	/* The main thread's: those before it, whose connections may be open; references. */
	struct generation_list old;
	struct generation *hooked; /* what the hook was made of, if that is not the present one */
	struct reload *reload;	   /* NULL until all is ready to start */
	struct ktls_support ktls;
	struct resolver *resolver;
	struct own_sockets *own_sockets;
	struct learned_pass *learned;
	struct pass_list *passes;      /* what was passed, by reason and name */
	struct pass_list *rule_counts; /* ... and by rule alone */
	struct overload *overload;     /* NULL until server_start */
	struct known_origins *known_origins;
	struct session_cache *sessions;    /* origins'; NULL: none are kept */
	_Atomic uint64_t sessions_expired; /* of these, beside what workers have counted */
	int64_t sessions_due_s;            /* of sessions_watch; the main thread's */
	struct access_log *access_log; /* NULL: none */
	struct control *control;       /* NULL: none */
	struct observer *observer;     /* NULL until server_start */
	struct metrics_http *metrics;  /* NULL: none */
	struct otlp *otlp;	       /* NULL: none */
	struct taps *taps;	       /* NULL until workers are made */
	struct steer *steer;	       /* capture by connect hook; NULL: none */
	struct pulse *steer_pulse;     /* what it works by */
	struct capturing *capturing;   /* NULL until server_start */
	_Atomic uint32_t own_mark;     /* SO_MARK of our own calls; 0: they need none */
	int pin_root;		       /* observe/bpf_pins.h; 0: none is needed */
	struct launcher *launcher;     /* NULL until all is ready to start */
	struct watchdog *watchdog;     /* NULL: the service manager does not ask for it */
	struct listen_fds *inherited;  /* sockets that are there already; NULL but in server_init */
	struct handover_take *takeover; /* NULL: there is no ksplitd to take over from */
	struct handover_give *handover; /* NULL until server_start */
	struct worker *workers;
	size_t workers_len;
	size_t workers_ready; /* of these are set up */
	size_t max_connections;
	int64_t start_ms; /* wall clock */
	uint64_t service_us; /* CLOCK_MONOTONIC, when service_watch has something to do */
	_Atomic bool draining;
};

/*
 * Load the CA and the trust anchors, make contexts, probe the kernel, bind the listeners:
 * everything that can fail for a reason that an administrator has to know. No thread is started.
 * Takes over `config` (config_new) in any case, and `takeover` (NULL: none), whose listeners are
 * used where they have a configured address, as are those that the service manager has opened. 0 or
 * -errno with one line in `error`.
 */
int server_init(struct server *server, struct config *config, struct handover_take *takeover,
		char *error, size_t error_len);

/*
 * Read the files that the configuration names (CA, trust anchors) and nothing more. Takes over
 * `config` (config_new) in any case. 0 or -errno with one line in `error`.
 */
int server_check(struct config *config, char *error, size_t error_len);

/* Start all threads (after a fork to the background). 0 or -errno with one line in `error`. */
int server_start(struct server *server, char *error, size_t error_len);

/* Accept nothing more; what waits in the listeners' queues is another process's to serve. */
void server_hold(struct server *server);

/*
 * Another ksplitd has taken over: withdraw what it has put in place of ours, and let workers end
 * when their last connection has.
 */
void server_retire(struct server *server);

/* Stop accepting; workers end when their last connection has. */
void server_drain(struct server *server);

/* Close everything now. */
void server_stop(struct server *server);

/* Have all workers' threads come to their end? */
bool server_ended(const struct server *server);

/* Stop, join and free everything. Safe after a failed server_init or server_start. */
void server_destroy(struct server *server);

/* Any thread: the present one, a reference for the caller (generation_put). */
struct generation *server_generation(struct server *server);

/*
 * May kernel TLS be tried at all under this configuration? KSPLIT_NONE, or the reason (FALLBACK
 * class).
 */
enum ksplit_reason server_ktls_reason(const struct server *server, const struct config *config);

#endif
