// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "conn_maker.h"
#include "core/log.h"
#include "export/access_log.h"
#include "process_count.h"
#include "request_maker.h"

/* A folder and paths in it; what the process held before. */
struct fixture {
	char folder[64];
	char path[96], rotated[96];
	struct access_log *log;
	int fds, threads;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->folder, "/tmp/ksplit-test-log.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/access.log", f->folder);
	snprintf(f->rotated, sizeof(f->rotated), "%s/access.log.1", f->folder);
	f->fds = count_fds();
	f->threads = count_threads();
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	access_log_close(f->log);
	assert_int_equal(count_fds(), f->fds);
	assert_threads(f->threads);
	unlink(f->path);
	unlink(f->rotated);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void open_log(struct fixture *f, const char *path)
{
	assert_int_equal(access_log_open(path, &f->log), 0);
}

static void close_log(struct fixture *f)
{
	access_log_close(f->log);
	f->log = NULL;
}

static bool log_id(struct access_log *log, uint64_t id)
{
	struct conn_info info = make_conn();

	info.id = id;
	return access_log_connection(log, &info);
}

static struct access_log_stats stats_of(struct access_log *log)
{
	struct access_log_stats stats;

	access_log_read_stats(log, &stats);
	return stats;
}

/* Until the writer has dealt with so many lines. */
static void wait_for(struct access_log *log, uint64_t lines)
{
	struct access_log_stats stats;

	do {
		pause_ms(2);
		stats = stats_of(log);
	} while (stats.written + stats.lost < lines);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 32 * 1024 * 1024);

	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, 32 * 1024 * 1024 - 1, file) < 32 * 1024 * 1024 - 1);
	fclose(file);
	return text;
}

/* Parse each line; returns how many are whole, *broken how many are not; ids in order go to `ids`.
 */
static int read_lines(char *text, uint64_t *ids, int max, int *broken)
{
	int n = 0;

	*broken = 0;
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		cJSON *json = cJSON_Parse(line);

		if (!json) {
			++*broken;
			continue;
		}
		check_text(json, "type", "connection");
		if (ids && n < max)
			ids[n] = (uint64_t)json_at(json, "id")->valuedouble;
		n++;
		cJSON_Delete(json);
	}
	return n;
}

static void check_file(const char *path, uint64_t first, int count)
{
	char *text = read_file(path);
	uint64_t ids[64];
	int broken;

	assert_int_equal(read_lines(text, ids, 64, &broken), count);
	assert_int_equal(broken, 0);
	for (int i = 0; i < count; i++)
		assert_int_equal(ids[i], first + (uint64_t)i);
	free(text);
}

static void lines_are_written_in_order(void **state)
{
	struct fixture *f = *state;
	mode_t mask = umask(0);
	struct stat st;

	open_log(f, f->path);
	umask(mask);
	for (uint64_t id = 1; id <= 10; id++)
		assert_true(log_id(f->log, id));
	wait_for(f->log, 10);
	assert_int_equal(stats_of(f->log).written, 10);
	check_file(f->path, 1, 10); /* without waiting for the end */
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	close_log(f);
	open_log(f, f->path);
	log_id(f->log, 11);
	close_log(f);
	check_file(f->path, 1, 11);
}

static void close_writes_what_is_queued(void **state)
{
	struct fixture *f = *state;

	open_log(f, f->path);
	for (uint64_t id = 1; id <= 50; id++)
		assert_true(log_id(f->log, id));
	close_log(f);
	check_file(f->path, 1, 50);
	access_log_close(NULL);
}

/* Both kinds in one queue, in the order in which they came. */
static void requests_stand_between_connections(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	struct fixture *f = *state;
	int requests = 0, connections = 0;
	char *text, *save;

	open_log(f, f->path);
	for (uint64_t id = 1; id <= 300; id++) {
		conn.id = id;
		assert_true(access_log_request(f->log, &conn, &request));
		assert_true(log_id(f->log, id));
		wait_for(f->log, id % 3 ? 0 : 2 * id);
	}
	close_log(f);
	text = read_file(f->path);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		cJSON *json = cJSON_Parse(line);

		assert_non_null(json);
		if (requests == connections) {
			check_text(json, "type", "request");
			check_number(json, "connection", ++requests);
			check_text(json, "uri", "/users/{number}/notes?page");
		} else {
			check_text(json, "type", "connection");
			check_number(json, "id", ++connections);
		}
		cJSON_Delete(json);
	}
	assert_int_equal(requests, 300);
	assert_int_equal(connections, 300);
	free(text);
}

/* A queue of 1 MiB has room for thousands of them, and no more than that. */
static void too_many_requests_are_dropped_and_counted(void **state)
{
	struct observe_conn conn = make_observed_conn();
	struct observe_request request = make_request();
	struct fixture *f = *state;
	enum { LINES = 20000 };
	int accepted = 0, reader;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	open_log(f, f->path);
	for (int i = 0; i < LINES; i++)
		accepted += access_log_request(f->log, &conn, &request);
	assert_in_range(accepted, 2500, 6000);
	assert_int_equal(stats_of(f->log).dropped, LINES - accepted);
	close_log(f);
	close(reader);
}

struct logger {
	pthread_t thread;
	struct access_log *log;
	int accepted;
};

static void *logger_main(void *arg)
{
	struct logger *logger = arg;

	for (int i = 0; i < 1000; i++)
		logger->accepted += log_id(logger->log, (uint64_t)i);
	return NULL;
}

static void many_threads_write_whole_lines(void **state)
{
	struct fixture *f = *state;
	struct logger loggers[8];
	struct access_log_stats stats;
	int accepted = 0, broken;
	char *text;

	open_log(f, f->path);
	for (int i = 0; i < 8; i++) {
		loggers[i] = (struct logger){.log = f->log};
		pthread_create(&loggers[i].thread, NULL, logger_main, &loggers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(loggers[i].thread, NULL);
		accepted += loggers[i].accepted;
	}
	wait_for(f->log, (uint64_t)accepted);
	stats = stats_of(f->log);
	assert_int_equal(stats.written, accepted);
	assert_int_equal(stats.dropped, 8000 - accepted);
	assert_int_equal(stats.lost, 0);
	close_log(f);
	text = read_file(f->path);
	assert_int_equal(read_lines(text, NULL, 0, &broken), accepted);
	assert_int_equal(broken, 0);
	free(text);
}

static void reopen_goes_on_in_a_new_file(void **state)
{
	struct fixture *f = *state;

	open_log(f, f->path);
	log_id(f->log, 1);
	log_id(f->log, 2);
	wait_for(f->log, 2);
	assert_int_equal(rename(f->path, f->rotated), 0);
	log_id(f->log, 3);
	wait_for(f->log, 3);
	assert_int_equal(access_log_reopen(f->log), 0);
	assert_int_equal(access_log_reopen(f->log), 0);
	log_id(f->log, 4);
	close_log(f);
	check_file(f->rotated, 1, 3);
	check_file(f->path, 4, 1);
}

/* The old file is let go of at once, not with the next line. */
static void reopen_closes_the_old_file(void **state)
{
	struct fixture *f = *state;
	int fds;

	open_log(f, f->path);
	fds = count_fds();
	assert_int_equal(access_log_reopen(f->log), 0);
	for (int i = 0; i < 1000 && count_fds() != fds; i++)
		pause_ms(2);
	assert_int_equal(count_fds(), fds);
}

static void a_failed_reopen_keeps_the_old_file(void **state)
{
	struct fixture *f = *state;
	char away[96];

	snprintf(away, sizeof(away), "%s.away", f->folder);
	open_log(f, f->path);
	log_id(f->log, 1);
	wait_for(f->log, 1);
	assert_int_equal(rename(f->folder, away), 0);
	assert_int_equal(access_log_reopen(f->log), -ENOENT);
	assert_int_equal(rename(away, f->folder), 0);
	log_id(f->log, 2);
	close_log(f);
	check_file(f->path, 1, 2);
}

static void what_cannot_be_opened_is_said(void **state)
{
	struct fixture *f = *state;
	char path[160];

	assert_int_equal(access_log_open(f->folder, &f->log), -EISDIR);
	snprintf(path, sizeof(path), "%s/none/access.log", f->folder);
	assert_int_equal(access_log_open(path, &f->log), -ENOENT);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(access_log_open(f->path, &f->log), -ENXIO);
	assert_null(f->log);
}

/* Put `fd` in the place of `target`; returns what was there, for swap_back. */
static int swap_in(int target, int fd)
{
	int saved;

	fflush(stdout);
	fflush(stderr);
	saved = dup(target);
	assert_int_equal(dup2(fd, target), target);
	return saved;
}

static void swap_back(int target, int saved)
{
	assert_int_equal(dup2(saved, target), target);
	close(saved);
}

static void stdout_gets_lines_and_stays_open(void **state)
{
	struct fixture *f = *state;
	char text[8192] = "";
	int fds[2], saved, broken;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	saved = swap_in(STDOUT_FILENO, fds[1]);
	open_log(f, "-");
	log_id(f->log, 1);
	assert_int_equal(access_log_reopen(f->log), 0);
	log_id(f->log, 2);
	close_log(f);
	n = write(STDOUT_FILENO, "", 0);
	swap_back(STDOUT_FILENO, saved);
	assert_int_equal(n, 0);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	assert_int_equal(read_lines(text, NULL, 0, &broken), 2);
	assert_int_equal(broken, 0);
	close(fds[0]);
	close(fds[1]);
}

static int count_text(const char *text, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word)) != NULL) {
		n++;
		text++;
	}
	return n;
}

/*
 * SIGPIPE has its default action here: it would end the test. Warned about once, however often it
 * fails.
 */
static void a_closed_stdout_loses_lines_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct access_log_stats stats;
	int fds[2], saved, saved_err, err_fd;
	char *text;

	signal(SIGPIPE, SIG_DFL);
	log_setup(LOG_LEVEL_WARN, false);
	err_fd = open(f->rotated, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(err_fd >= 0);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	saved = swap_in(STDOUT_FILENO, fds[1]);
	saved_err = swap_in(STDERR_FILENO, err_fd);
	open_log(f, "-");
	for (uint64_t i = 1; i <= 20; i++) {
		log_id(f->log, i);
		wait_for(f->log, i);
	}
	stats = stats_of(f->log);
	close_log(f);
	swap_back(STDERR_FILENO, saved_err);
	swap_back(STDOUT_FILENO, saved);
	close(fds[1]);
	close(err_fd);
	assert_int_equal(stats.lost, 20);
	assert_int_equal(stats.written, 0);
	text = read_file(f->rotated);
	assert_int_equal(count_text(text, "access log stdout: Broken pipe; 1 lines lost"), 1);
	assert_int_equal(count_text(text, "access log stdout: 19 more lines lost"), 1);
	assert_int_equal(count_text(text, "\n"), 2);
	free(text);
}

static void a_full_disk_loses_lines_and_no_more(void **state)
{
	struct fixture *f = *state;

	open_log(f, "/dev/full");
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(log_id(f->log, i));
	wait_for(f->log, 5);
	assert_int_equal(stats_of(f->log).lost, 5);
}

/* The disk fills in the middle of a line and gets room again: that line alone is broken. */
static void a_torn_line_is_ended_before_the_next(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small;
	struct access_log_stats stats;
	int broken, whole;
	char *text;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 2000;
	open_log(f, f->path);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint64_t i = 1; i <= 5; i++) {
		log_id(f->log, i);
		wait_for(f->log, i);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	for (uint64_t i = 6; i <= 8; i++)
		log_id(f->log, i);
	wait_for(f->log, 8);
	stats = stats_of(f->log);
	close_log(f);
	text = read_file(f->path);
	whole = read_lines(text, NULL, 0, &broken);
	free(text);
	assert_int_equal(broken, 1);
	assert_int_equal(whole, stats.written);
	assert_in_range(stats.lost, 1, 5);
	assert_int_equal(stats.written + stats.lost, 8);
}

/* A reader that does not read: nobody waits for it, memory is bounded, the end comes in time. */
static void a_slow_reader_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	enum { LINES = 20000 };
	double start, slowest = 0;
	int accepted = 0, reader;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	open_log(f, f->path);
	for (int i = 0; i < LINES; i++) {
		double before = seconds_now();

		accepted += log_id(f->log, (uint64_t)i);
		if (seconds_now() - before > slowest)
			slowest = seconds_now() - before;
	}
	assert_true(slowest < 1);
	assert_in_range(accepted, 100, 10000); /* a pipe, a batch and a queue of 1 MiB */
	assert_int_equal(stats_of(f->log).dropped, LINES - accepted);
	start = seconds_now();
	close_log(f);
	assert_true(seconds_now() - start < 4);
	close(reader);
}

/* A reader that comes back gets whole lines: writes were short, no byte is missing. */
static void short_writes_lose_nothing(void **state)
{
	struct fixture *f = *state;
	char *text = calloc(1, 4 * 1024 * 1024);
	size_t len = 0;
	int accepted = 0, broken, reader;

	assert_non_null(text);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	open_log(f, f->path);
	for (int i = 0; i < 500; i++)
		accepted += log_id(f->log, (uint64_t)i);
	assert_int_equal(accepted, 500);
	while (stats_of(f->log).written < 500) {
		ssize_t n = read(reader, text + len, 777);

		len += n > 0 ? (size_t)n : 0;
		if (n < 0)
			pause_ms(1);
	}
	for (ssize_t n; (n = read(reader, text + len, 4096)) > 0;)
		len += (size_t)n;
	assert_int_equal(read_lines(text, NULL, 0, &broken), 500);
	assert_int_equal(broken, 0);
	free(text);
	close_log(f);
	close(reader);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(lines_are_written_in_order),
		T(close_writes_what_is_queued),
		T(requests_stand_between_connections),
		T(too_many_requests_are_dropped_and_counted),
		T(many_threads_write_whole_lines),
		T(reopen_goes_on_in_a_new_file),
		T(reopen_closes_the_old_file),
		T(a_failed_reopen_keeps_the_old_file),
		T(what_cannot_be_opened_is_said),
		T(stdout_gets_lines_and_stays_open),
		T(a_closed_stdout_loses_lines_and_no_more),
		T(a_full_disk_loses_lines_and_no_more),
		T(a_torn_line_is_ended_before_the_next),
		T(a_slow_reader_holds_up_nobody),
		T(short_writes_lose_nothing),
	};
#undef T

	return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
