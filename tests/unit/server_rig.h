/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_SERVER_RIG_H
#define KSPLIT_TESTS_SERVER_RIG_H

/*
 * A server with all its threads in the test's own process: no program, no signals, and every object
 * in reach. It listens on 127.0.0.0/8, reads a file of the test's, and samples nothing. Include
 * after cmocka.h.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/launcher.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/options.h"
#include "core/server.h"
#include "core/worker_round.h"
#include "forge_rig.h"

#define SERVER_RIG_WORKERS 2

struct server_rig {
	char folder[64], cert[96], key[96], file[96];
	char *argv[4];
	struct launcher_options start;
	struct server server;
	char error[512];
};

/* The file: these listeners, and further members ("" or ", ..."). */
static inline void server_rig_write(const struct server_rig *rig, const char *listeners,
				    const char *more)
{
	FILE *file = fopen(rig->file, "w");

	assert_non_null(file);
	fprintf(file,
		"{\"ca\": {\"cert\": \"ca.pem\", \"key\": \"ca.key\"}, \"sampler\": \"off\",\n"
		" \"control\": \"\", \"workers\": %d, \"log_level\": \"error\",\n"
		" \"sampling\": {\"timings\": false}, \"upstream\": {\"verify\": \"off\"},\n"
		" \"listeners\": [%s]%s}\n",
		SERVER_RIG_WORKERS, listeners, more);
	fclose(file);
}

static inline void server_rig_write_ca(const struct server_rig *rig)
{
	struct test_ca ca = make_ca("P-256", ca_exts, -300 * DAY, 3000 * DAY);
	FILE *file = fopen(rig->cert, "w");

	assert_non_null(file);
	PEM_write_X509(file, ca.cert);
	fclose(file);
	file = fopen(rig->key, "w");
	assert_non_null(file);
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	PEM_write_PrivateKey(file, ca.key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	clear_ca(&ca);
}

/* As the file has it now; the caller's (config_delete). */
static inline struct config *server_rig_read(struct server_rig *rig)
{
	struct config *config = config_new();
	enum options_action action;
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_non_null(config);
	assert_int_equal(fchdir(rig->start.folder), 0);
	if (options_read(rig->start.argc, rig->start.argv, config, &action, rig->error,
			 sizeof(rig->error)))
		fail_msg("%s", rig->error);
	assert_int_equal(fchdir(here), 0);
	close(here);
	return config;
}

static inline void server_rig_begin(struct server_rig *rig)
{
	struct config *config = server_rig_read(rig);
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), err;

	assert_int_equal(fchdir(rig->start.folder), 0); /* names in the file are relative */
	err = server_init(&rig->server, config, NULL, rig->error, sizeof(rig->error));
	if (!err)
		err = launcher_start(&rig->start, &rig->server.launcher);
	if (!err)
		err = server_start(&rig->server, rig->error, sizeof(rig->error));
	assert_int_equal(fchdir(here), 0);
	close(here);
	if (err)
		fail_msg("%s", rig->error);
}

static inline struct server_rig *server_rig_open(const char *listeners)
{
	static char name[] = "ksplitd", option[] = "-c", file[] = "ksplit.json";
	struct server_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	log_setup(LOG_LEVEL_ERROR, false);
	strcpy(rig->folder, "/tmp/ksplit-test-server.XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->cert, sizeof(rig->cert), "%s/ca.pem", rig->folder);
	snprintf(rig->key, sizeof(rig->key), "%s/ca.key", rig->folder);
	snprintf(rig->file, sizeof(rig->file), "%s/%s", rig->folder, file);
	memcpy(rig->argv, (char *[]){name, option, file, NULL}, sizeof(rig->argv));
	rig->start = (struct launcher_options){
		.argc = 3,
		.argv = rig->argv,
		.program = "/nowhere/ksplitd",
		.folder = open(rig->folder, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	assert_true(rig->start.folder >= 0);
	server_rig_write_ca(rig);
	server_rig_write(rig, listeners, "");
	server_rig_begin(rig);
	return rig;
}

static inline void server_rig_close(struct server_rig *rig)
{
	server_destroy(&rig->server);
	close(rig->start.folder);
	unlink(rig->file);
	unlink(rig->cert);
	unlink(rig->key);
	rmdir(rig->folder);
	free(rig);
}

/* --- what is there --- */

/* Does anybody listen there? */
static inline bool is_listened_on(const char *address, unsigned int port)
{
	struct config_listener at = {.address.in = {.sin_family = AF_INET,
						    .sin_port = htons((uint16_t)port)}};
	char error[256];
	int err;

	assert_int_equal(inet_pton(AF_INET, address, &at.address.in.sin_addr), 1);
	err = listener_check_free(&at, error, sizeof(error));
	assert_true(err == 0 || err == -EADDRINUSE);
	return err;
}

/* The port that one of a generation's listeners has. */
static inline unsigned int port_of(const struct generation *generation, size_t index)
{
	return ntohs(generation->listeners[index].address.in.sin_port);
}

/* A port of another program's on this address; its socket, to be closed. */
static inline int server_rig_occupy(const char *address, uint16_t *port)
{
	struct sockaddr_in other = {.sin_family = AF_INET};
	socklen_t len = sizeof(other);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &other.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&other, sizeof(other)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&other, &len);
	*port = ntohs(other.sin_port);
	return fd;
}

#endif
