// SPDX-License-Identifier: GPL-2.0-or-later
/* The messages of a handover, and the end that takes over against one that this test plays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "core/fd_message.h"
#include "core/handover_take.h"
#include "core/handover_wire.h"
#include "core/launcher_process.h"
#include "core/listen_fds.h"
#include "core/log.h"
#include "process_count.h"

#define PATIENCE_MS 20000

static int ours; /* the old one's end */

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static int make_listener(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

/* --- messages --- */

static void descriptors_come_with_them(void **state)
{
	int before = count_fds(), fds[2], sent[3], got[FD_MESSAGE_FDS];
	struct handover_message message;
	size_t len = FD_MESSAGE_FDS;

	(void)state;
	pair(fds);
	for (size_t i = 0; i < 3; i++)
		sent[i] = open("/dev/null", O_RDONLY);
	assert_int_equal(handover_send(fds[0], HANDOVER_LISTENERS, 5, "text", sent, 3, PATIENCE_MS),
			 0);
	assert_int_equal(handover_receive(fds[1], &message, got, &len, PATIENCE_MS), 0);
	assert_int_equal(message.type, HANDOVER_LISTENERS);
	assert_int_equal(message.flags, 5);
	assert_string_equal(message.text, "text");
	assert_int_equal(len, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		close(got[i]);
		close(sent[i]);
	}
	/* nobody wants them: closed */
	sent[0] = open("/dev/null", O_RDONLY);
	assert_int_equal(handover_send(fds[0], HANDOVER_READY, 0, NULL, sent, 1, PATIENCE_MS), 0);
	len = 0;
	assert_int_equal(handover_receive(fds[1], &message, NULL, &len, PATIENCE_MS), -EPROTO);
	close(sent[0]);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(count_fds(), before);
}

static void what_is_no_message_is_refused(void **state)
{
	struct handover_message message = {.version = HANDOVER_VERSION, .type = HANDOVER_READY};
	struct handover_message got;
	int fds[2];
	size_t none = 0;

	(void)state;
	pair(fds);
	memset(message.text, 'x', sizeof(message.text)); /* no NUL */
	assert_int_equal(fd_message_send(fds[0], &message, sizeof(message), NULL, 0, PATIENCE_MS),
			 0);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, PATIENCE_MS), 0);
	assert_int_equal(strlen(got.text), sizeof(got.text) - 1);
	assert_int_equal(fd_message_send(fds[0], &message, 12, NULL, 0, PATIENCE_MS), 0);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, PATIENCE_MS), -EPROTO);
	message.type = HANDOVER_CANCELLED + 1;
	assert_int_equal(fd_message_send(fds[0], &message, sizeof(message), NULL, 0, PATIENCE_MS),
			 0);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, PATIENCE_MS), -EPROTO);
	/* another version may have other lengths: it is told apart by its first four bytes */
	message.version = HANDOVER_VERSION + 1;
	assert_int_equal(fd_message_send(fds[0], &message, 4, NULL, 0, PATIENCE_MS), 0);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, PATIENCE_MS),
			 -EPROTONOSUPPORT);
	assert_int_equal(got.version, HANDOVER_VERSION + 1);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, 1), -ETIMEDOUT);
	close(fds[0]);
	assert_int_equal(handover_receive(fds[1], &got, NULL, &none, PATIENCE_MS), -EPIPE);
	assert_int_equal(handover_send(fds[1], HANDOVER_READY, 0, NULL, NULL, 0, PATIENCE_MS),
			 -EPIPE);
	close(fds[1]);
}

/* --- taking over --- */

static void offer(enum handover_type type, int fd, uint32_t flags)
{
	assert_int_equal(handover_send(ours, type, flags, NULL, &fd, fd >= 0, PATIENCE_MS), 0);
	if (fd >= 0)
		close(fd);
}

static int open_take(struct handover_take **take, char error[200])
{
	int fds[2], theirs;
	char number[16];

	pair(fds);
	ours = fds[0];
	theirs = fcntl(fds[1], F_DUPFD, 10); /* as exec(3) leaves it */
	close(fds[1]);
	snprintf(number, sizeof(number), "%d", theirs);
	setenv(LAUNCHER_HANDOVER, number, 1);
	offer(HANDOVER_LISTENERS, make_listener(), 0);
	offer(HANDOVER_LISTENERS, make_listener(), 0);
	offer(HANDOVER_METRICS, make_listener(), 0);
	offer(HANDOVER_STATE, -1, HANDOVER_CAPTURE_OFF);
	return handover_take_open(take, error, 200);
}

static void what_is_offered_is_taken(void **state)
{
	struct handover_take *take = NULL;
	char error[200] = "", text[160];
	int before = count_fds(), fd;
	struct listen_fds *fds;

	(void)state;
	if (open_take(&take, error))
		fail_msg("%s", error);
	assert_null(getenv(LAUNCHER_HANDOVER));
	assert_int_equal(handover_take_flags(take), HANDOVER_CAPTURE_OFF);
	assert_int_equal(handover_take_calls(take), -1);
	fd = handover_take_metrics(take);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(handover_take_metrics(take), -1);
	assert_int_equal(listen_fds_new(&fds), 0);
	assert_int_equal(handover_take_listeners(take, fds, error, sizeof(error)), 0);
	assert_true(listen_fds_unused(fds, text, sizeof(text)));
	listen_fds_free(fds);
	handover_take_free(take);
	close(ours);
	assert_int_equal(count_fds(), before);
}

static void nobody_to_take_over_from(void **state)
{
	struct handover_take *take = (struct handover_take *)1;
	char error[200];

	(void)state;
	unsetenv(LAUNCHER_HANDOVER);
	assert_int_equal(handover_take_open(&take, error, sizeof(error)), 0);
	assert_null(take);
	assert_int_equal(handover_take_flags(NULL), 0);
	assert_int_equal(handover_take_stop(NULL, 0, error, sizeof(error)), 0);
	handover_take_refuse(NULL, "nothing");
	for (size_t i = 0; i < 4; i++) {
		setenv(LAUNCHER_HANDOVER, ((const char *[]){"", "x", "1", "999"})[i], 1);
		assert_true(handover_take_open(&take, error, sizeof(error)) < 0);
		assert_non_null(strstr(error, "cannot take over"));
	}
}

struct part {
	enum handover_type expected, answer;
	const char *text;
};

/* The old one: waits for one message, and answers with another; 0: it is dead by then. */
static void *play(void *arg)
{
	const struct part *part = arg;
	struct handover_message message;
	size_t none = 0;

	assert_int_equal(handover_receive(ours, &message, NULL, &none, PATIENCE_MS), 0);
	assert_int_equal(message.type, part->expected);
	if (part->answer)
		handover_send(ours, part->answer, 0, part->text, NULL, 0, PATIENCE_MS);
	else
		close(ours);
	return NULL;
}

static int answered(struct handover_take *take, struct part part, char error[200])
{
	pthread_t thread;
	int err;

	assert_int_equal(pthread_create(&thread, NULL, play, &part), 0);
	err = part.expected == HANDOVER_READY ? handover_take_stop(take, 0, error, 200)
					      : handover_take_finish(take, error, 200);
	pthread_join(thread, NULL);
	return err;
}

static void it_is_done_when_the_other_says_bye(void **state)
{
	struct handover_take *take = NULL;
	struct handover_message message;
	char error[200] = "";
	size_t none = 0;

	(void)state;
	assert_int_equal(open_take(&take, error), 0);
	assert_int_equal(answered(take, (struct part){HANDOVER_READY, HANDOVER_STOPPED, NULL},
				  error),
			 0);
	assert_int_equal(answered(take, (struct part){HANDOVER_DONE, HANDOVER_BYE, NULL}, error),
			 0);
	handover_take_leave(take);
	assert_int_equal(handover_receive(ours, &message, NULL, &none, PATIENCE_MS), -EPIPE);
	handover_take_free(take);
	close(ours);
}

static void it_comes_to_nothing_when_the_other_goes_on(void **state)
{
	const struct part cancelled = {HANDOVER_READY, HANDOVER_CANCELLED, "a worker hangs"};
	struct handover_take *take = NULL;
	struct handover_message message;
	char error[200] = "";
	size_t none = 0;

	(void)state;
	assert_int_equal(open_take(&take, error), 0);
	assert_int_equal(answered(take, cancelled, error), -ECANCELED);
	assert_non_null(strstr(error, "goes on itself: a worker hangs"));
	handover_take_refuse(take, "so be it");
	assert_int_equal(handover_receive(ours, &message, NULL, &none, PATIENCE_MS), 0);
	assert_int_equal(message.type, HANDOVER_REFUSED);
	assert_string_equal(message.text, "so be it");
	handover_take_free(take);
	close(ours);
	assert_int_equal(open_take(&take, error), 0);
	assert_int_equal(answered(take, (struct part){HANDOVER_READY, HANDOVER_BYE, NULL}, error),
			 -EPROTO);
	handover_take_free(take);
	close(ours);
}

static void one_that_dies_leaves_it_all_to_this_one(void **state)
{
	struct handover_take *take = NULL;
	char error[200] = "";

	(void)state;
	assert_int_equal(open_take(&take, error), 0);
	assert_int_equal(answered(take, (struct part){HANDOVER_READY, 0, NULL}, error), 0);
	assert_int_equal(handover_take_finish(take, error, sizeof(error)), 0);
	handover_take_free(take);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_come_with_them),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(what_is_offered_is_taken),
		cmocka_unit_test(nobody_to_take_over_from),
		cmocka_unit_test(it_is_done_when_the_other_says_bye),
		cmocka_unit_test(it_comes_to_nothing_when_the_other_goes_on),
		cmocka_unit_test(one_that_dies_leaves_it_all_to_this_one),
	};

	log_setup(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
