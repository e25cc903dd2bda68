// SPDX-License-Identifier: GPL-2.0-or-later
/* The launcher's process: what it does when it is told, and what it does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/fd_message.h"
#include "core/launcher.h"
#include "core/launcher_process.h"
#include "core/launcher_wire.h"
#include "core/log.h"
#include "forge_rig.h"
#include "pki/signer.h"
#include "process_count.h"

#define ERROR_LEN  512
#define PATIENCE_MS 20000

static struct {
	char folder[64], config[96], cert[96], key[96];
	char *argv[4];
	struct launcher_options options;
	struct launcher *launcher;
	struct signer *signer;
} test;

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void write_ca(const struct test_ca *ca)
{
	FILE *file = fopen(test.cert, "w");

	assert_non_null(file);
	PEM_write_X509(file, ca->cert);
	fclose(file);
	file = fopen(test.key, "w");
	PEM_write_PrivateKey(file, ca->key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

/* Relative names: the launcher has to be where the daemon was started. */
static void write_config(void)
{
	write_text(test.config,
		   "{\"listeners\": [{\"listen\": \"127.0.0.1:1\", \"to\": \"a.test:1\"}],\n"
		   " \"ca\": {\"cert\": \"ca.pem\", \"key\": \"ca.key\"}}\n");
}

static int start_all(void **state)
{
	static char name[] = "ksplitd", option[] = "-c", file[] = "ksplit.json";

	make_all(state);
	log_setup(LOG_LEVEL_ERROR, false);
	strcpy(test.folder, "/tmp/ksplit-test-launcher.XXXXXX");
	assert_non_null(mkdtemp(test.folder));
	snprintf(test.config, sizeof(test.config), "%s/ksplit.json", test.folder);
	snprintf(test.cert, sizeof(test.cert), "%s/ca.pem", test.folder);
	snprintf(test.key, sizeof(test.key), "%s/ca.key", test.folder);
	memcpy(test.argv, (char *[]){name, option, file, NULL}, sizeof(test.argv));
	test.options = (struct launcher_options){
		.argc = 3,
		.argv = test.argv,
		.program = "/nowhere/ksplitd",
		.folder = open(test.folder, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	return test.options.folder < 0;
}

static int end_all(void **state)
{
	close(test.options.folder);
	unlink(test.config);
	unlink(test.cert);
	unlink(test.key);
	rmdir(test.folder);
	return free_all(state);
}

static int start(void **state)
{
	(void)state;
	write_config();
	write_ca(&made.cas[0]);
	return launcher_start(&test.options, &test.launcher);
}

static int stop(void **state)
{
	(void)state;
	signer_stop(test.signer);
	launcher_stop(test.launcher);
	test.signer = NULL;
	test.launcher = NULL;
	return 0;
}

static int get_signer(char error[ERROR_LEN])
{
	pid_t pid = 0;
	int fd = -1, err;

	signer_stop(test.signer);
	test.signer = NULL;
	err = launcher_signer(test.launcher, &fd, &pid, error, ERROR_LEN);
	if (err)
		return err;
	assert_true(pid > 0);
	err = signer_adopt(fd, pid, &test.signer, error, ERROR_LEN);
	assert_true(err || signer_pid(test.signer) == pid);
	return err;
}

/* --- signing processes --- */

struct outcome {
	sem_t done;
	int err;
	X509 *cert;
};

static void take(void *arg, int err, const struct signed_leaf *made_leaf)
{
	struct outcome *outcome = arg;
	const uint8_t *at = err ? NULL : made_leaf->cert;

	outcome->err = err;
	outcome->cert = err ? NULL : d2i_X509(NULL, &at, (long)made_leaf->cert_len);
	sem_post(&outcome->done);
}

/* A leaf by the signer that was adopted last; it verifies by this CA. */
static void assert_signs_for(const struct test_ca *ca)
{
	X509 *origin = make_origin("origin.test", usual_exts);
	struct outcome outcome = {.err = -1};
	size_t len;
	int err;
	uint8_t *tbs = forge_tbs(ca, origin, "a.test", made.leaf_keys[0], &len, &err);

	assert_int_equal(err, 0);
	sem_init(&outcome.done, 0, 0);
	assert_int_equal(signer_listen(test.signer), 0);
	assert_int_equal(signer_request(test.signer, tbs, len, NULL, take, &outcome), 0);
	sem_wait(&outcome.done);
	assert_int_equal(outcome.err, 0);
	assert_verifies(ca, outcome.cert, "a.test");
	X509_free(outcome.cert);
	X509_free(origin);
	OPENSSL_free(tbs);
}

static void a_signing_process_comes_from_it(void **state)
{
	char error[ERROR_LEN] = "";

	(void)state;
	if (get_signer(error))
		fail_msg("%s", error);
	assert_signs_for(&made.cas[0]);
}

static void the_files_are_read_as_they_are_now(void **state)
{
	char error[ERROR_LEN] = "";

	(void)state;
	assert_int_equal(get_signer(error), 0);
	write_ca(&made.cas[3]); /* RSA */
	if (get_signer(error))
		fail_msg("%s", error);
	assert_signs_for(&made.cas[3]);
}

static void why_there_is_none_is_told(void **state)
{
	char error[ERROR_LEN] = "";

	(void)state;
	write_text(test.key, "no key\n");
	assert_true(get_signer(error) < 0);
	assert_non_null(strstr(error, "ca.key"));
	write_text(test.config, "{\"listenrs\": []}\n");
	assert_true(get_signer(error) < 0);
	assert_non_null(strstr(error, "listenrs"));
	/* and it is as well as before */
	write_config();
	write_ca(&made.cas[0]);
	assert_int_equal(get_signer(error), 0);
}

/* A daemon in the hands of somebody gets so many processes a second and no more. */
static void too_many_orders_are_refused(void **state)
{
	char error[ERROR_LEN] = "";
	int given = 0, busy = 0;

	(void)state;
	for (int i = 0; i < 10 * LAUNCHER_RATE; i++) {
		pid_t pid;
		int fd = -1;
		int err = launcher_signer(test.launcher, &fd, &pid, error, sizeof(error));

		given += err == 0;
		busy += err == -EBUSY;
		if (!err)
			close(fd);
	}
	assert_int_equal(given + busy, 10 * LAUNCHER_RATE);
	assert_true(given >= LAUNCHER_RATE);
	assert_true(busy >= 1);
	assert_non_null(strstr(error, "too often"));
}

/* --- what is no order --- */

struct raw {
	pid_t pid;
	int fd;
};

static struct raw start_raw(void)
{
	struct raw raw;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	raw.pid = fork();
	if (raw.pid == 0) {
		close(fds[0]);
		launcher_process(&test.options, fds[1]);
	}
	close(fds[1]);
	raw.fd = fds[0];
	return raw;
}

static int end_raw(const struct raw *raw)
{
	int status = -1;

	close(raw->fd);
	assert_int_equal(waitpid(raw->pid, &status, 0), raw->pid);
	return status;
}

static int answer_to(const struct raw *raw, const void *order, size_t len, const int *fds,
		     size_t fds_len)
{
	struct launcher_answer answer = {0};
	size_t none = 0;

	assert_int_equal(fd_message_send(raw->fd, order, len, fds, fds_len, PATIENCE_MS), 0);
	assert_int_equal(fd_message_receive(raw->fd, &answer, sizeof(answer), NULL, &none,
					    PATIENCE_MS),
			 sizeof(answer));
	return answer.err;
}

static void what_is_no_order_is_not_obeyed(void **state)
{
	static const uint32_t others[] = {0, LAUNCHER_CANCEL + 1, 0x2f746d70, UINT32_MAX};
	struct raw raw = start_raw();

	(void)state;
	for (size_t i = 0; i < LEN(others); i++) {
		const struct launcher_ask ask = {.order = others[i], .number = 7};

		assert_int_equal(answer_to(&raw, &ask, sizeof(ask), NULL, 0), -EINVAL);
	}
	assert_int_equal(end_raw(&raw), 0);
}

/* No path, no argument, no descriptor: what is longer than an order is thrown away. */
static void nothing_but_a_number_crosses(void **state)
{
	struct {
		struct launcher_ask ask;
		char path[32];
	} longer = {.ask = {.order = LAUNCHER_UPGRADE}, .path = "/bin/sh"};
	const struct launcher_ask none = {.order = 99, .number = 1};
	struct raw raw = start_raw();
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char path[64];
	int before;

	(void)state;
	assert_int_equal(answer_to(&raw, &none, sizeof(none), NULL, 0), -EINVAL);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)raw.pid);
	before = count_entries(path);
	/* unanswered: the answer that comes is to the order behind it */
	assert_int_equal(fd_message_send(raw.fd, &longer, sizeof(longer), &file, 1, PATIENCE_MS),
			 0);
	assert_int_equal(fd_message_send(raw.fd, "s", 1, NULL, 0, PATIENCE_MS), 0);
	assert_int_equal(fd_message_send(raw.fd, &none, sizeof(none), &file, 1, PATIENCE_MS), 0);
	assert_int_equal(answer_to(&raw, &none, sizeof(none), NULL, 0), -EINVAL);
	assert_int_equal(count_entries(path), before);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)raw.pid, (int)raw.pid);
	assert_int_equal(access(path, F_OK), 0);
	{
		char children[64] = "";
		FILE *opened = fopen(path, "r");

		assert_non_null(opened);
		assert_null(fgets(children, sizeof(children), opened));
		fclose(opened);
	}
	close(file);
	assert_int_equal(end_raw(&raw), 0);
}

/* --- its life --- */

static void it_holds_its_socket_and_its_folder_alone(void **state)
{
	int other = open("/dev/null", O_RDONLY); /* without O_CLOEXEC: a fork has it */
	char error[ERROR_LEN], path[64];

	(void)state;
	launcher_stop(test.launcher);
	assert_int_equal(launcher_start(&test.options, &test.launcher), 0);
	assert_int_equal(get_signer(error), 0); /* it is where it closes nothing more */
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)launcher_pid(test.launcher));
	if (geteuid() == 0)
		assert_int_equal(count_entries(path), 2 + 3 + 2); /* ".", "..", 0, 1, 2 */
	close(other);
}

static void it_ends_with_the_daemon(void **state)
{
	pid_t pid = launcher_pid(test.launcher);

	(void)state;
	launcher_stop(test.launcher);
	test.launcher = NULL;
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void that_it_has_died_is_told(void **state)
{
	char error[ERROR_LEN] = "";

	(void)state;
	kill(launcher_pid(test.launcher), SIGKILL);
	waitpid(launcher_pid(test.launcher), NULL, 0);
	assert_int_equal(get_signer(error), -EPIPE);
	assert_non_null(strstr(error, "restart ksplitd"));
}

/* What it says too late, to another order, is no answer to this one. */
static void a_late_answer_is_thrown_away(void **state)
{
	char error[ERROR_LEN] = "";
	int fds = count_fds();

	(void)state;
	kill(launcher_pid(test.launcher), SIGSTOP);
	assert_int_equal(get_signer(error), -ETIMEDOUT);
	kill(launcher_pid(test.launcher), SIGCONT);
	if (get_signer(error))
		fail_msg("%s", error);
	assert_signs_for(&made.cas[0]);
	assert_int_equal(count_fds(), fds + 1);
}

/* --- a new ksplitd --- */

static ssize_t hear(int fd, char *text, size_t size)
{
	size_t none = 0;
	ssize_t n = fd_message_receive(fd, text, size - 1, NULL, &none, PATIENCE_MS);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

static int launch(char *script, int *fd, pid_t *pid)
{
	static char name[] = "sh", option[] = "-c";
	char *argv[] = {name, option, script, NULL};
	struct launcher_options options = test.options;
	char error[ERROR_LEN];

	launcher_stop(test.launcher);
	options.program = "/bin/sh";
	options.argv = argv;
	assert_int_equal(launcher_start(&options, &test.launcher), 0);
	return launcher_upgrade(test.launcher, fd, pid, error, sizeof(error));
}

static void a_new_daemon_is_started_as_this_one_was(void **state)
{
	char script[] = "ls ksplit.json >&\"$KSPLIT_HANDOVER\"; "
			"echo \"$LISTEN_FDS $$ $WATCHDOG_PID\" >&\"$KSPLIT_HANDOVER\"";
	char text[64] = "", expected[64];
	pid_t pid;
	int fd;

	(void)state;
	setenv("LISTEN_FDS", "3", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(launch(script, &fd, &pid), 0);
	unsetenv("LISTEN_FDS");
	unsetenv("WATCHDOG_PID");
	assert_true(hear(fd, text, sizeof(text)) > 0);
	assert_string_equal(text, "ksplit.json\n");
	assert_true(hear(fd, text, sizeof(text)) > 0);
	snprintf(expected, sizeof(expected), " %d %d\n", (int)pid, (int)pid);
	assert_string_equal(text, expected);
	/* It has ended: nobody else has that end. */
	assert_int_equal(hear(fd, text, sizeof(text)), 0);
	close(fd);
}

static void one_that_cannot_be_started_is_gone(void **state)
{
	char error[ERROR_LEN], text[64];
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(launcher_upgrade(test.launcher, &fd, &pid, error, sizeof(error)), 0);
	assert_int_equal(hear(fd, text, sizeof(text)), 0);
	close(fd);
}

static void one_that_hangs_can_be_ended(void **state)
{
	char script[] = "echo here >&\"$KSPLIT_HANDOVER\"; kill -STOP $$";
	char text[64];
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(launch(script, &fd, &pid), 0);
	assert_true(hear(fd, text, sizeof(text)) > 0);
	assert_int_equal(launcher_cancel(test.launcher), 0);
	assert_int_equal(hear(fd, text, sizeof(text)), 0);
	assert_int_equal(launcher_cancel(test.launcher), 0); /* nobody is left to be ended */
	close(fd);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		T(a_signing_process_comes_from_it),
		T(the_files_are_read_as_they_are_now),
		T(why_there_is_none_is_told),
		T(too_many_orders_are_refused),
		T(what_is_no_order_is_not_obeyed),
		T(nothing_but_a_number_crosses),
		T(it_holds_its_socket_and_its_folder_alone),
		T(it_ends_with_the_daemon),
		T(that_it_has_died_is_told),
		T(a_late_answer_is_thrown_away),
		T(a_new_daemon_is_started_as_this_one_was),
		T(one_that_cannot_be_started_is_gone),
		T(one_that_hangs_can_be_ended),
	};

	return cmocka_run_group_tests(tests, start_all, end_all);
}
