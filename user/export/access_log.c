// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "export/access_record.h"
#include "export/record_ring.h"

#define QUEUE_BYTES  (1024 * 1024)
#define BATCH_BYTES  (64 * 1024)
#define PIPE_CHUNK   4096 /* taken without blocking by a pipe that polls writable (pipe(7)) */
#define POLL_STEP_MS 100
#define CLOSE_MS     2000
#define WARN_EVERY_S 60

struct access_log {
	char *path; /* NULL: stdout */
	pthread_t writer;
	pthread_mutex_t lock; /* guards all up to stats */
	pthread_cond_t work;
	struct record_ring queue;
	int next_fd; /* opened by reopen, -1: none */
	bool stopping;
	int64_t stop_at_ms; /* when stopping: give up then */
	struct access_log_stats stats;
	/* the writer's own */
	int fd;
	bool regular;
	bool torn; /* the last write ended inside a line */
	int64_t warned_at_s;
	uint64_t lost_unwarned;
	struct record_ring batch; /* taken from the queue */
};

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* O_NONBLOCK: a FIFO without a reader is an error (ENXIO) at start, not a daemon that hangs. */
static int open_path(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Is the writer told to end, and is its time over? */
static bool out_of_time(struct access_log *log)
{
	bool over;

	pthread_mutex_lock(&log->lock);
	over = log->stopping && monotonic_ms() >= log->stop_at_ms;
	pthread_mutex_unlock(&log->lock);
	return over;
}

/* Wait until a pipe, socket or terminal takes bytes. 0, -ETIMEDOUT (only when ending) or -errno. */
static int wait_writable(struct access_log *log)
{
	struct pollfd pfd = {.fd = log->fd, .events = POLLOUT};

	while (!out_of_time(log)) {
		int n = poll(&pfd, 1, POLL_STEP_MS);

		if (n > 0)
			return 0; /* errors too: write(2) will name them */
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return -ETIMEDOUT;
}

/* Write all of it. Returns how much was written; less: *err is the negative errno. */
static size_t write_all(struct access_log *log, const char *text, size_t len, int *err)
{
	size_t done = 0;

	*err = 0;
	while (done < len) {
		size_t want = len - done;
		ssize_t n;

		if (!log->regular) {
			*err = wait_writable(log);
			if (*err)
				break;
			want = want < PIPE_CHUNK ? want : PIPE_CHUNK;
		}
		n = write(log->fd, text + done, want);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno != EINTR && (errno != EAGAIN || log->regular)) {
			*err = -errno;
			break;
		}
	}
	return done;
}

static const char *log_name(const struct access_log *log)
{
	return log->path ? log->path : "stdout";
}

static void warn_lost(struct access_log *log, int err)
{
	int64_t now = monotonic_ms() / 1000;
	const char *why = err == -ETIMEDOUT ? "nobody reads it" : strerrordesc_np(-err);

	if (log->warned_at_s >= 0 && now - log->warned_at_s < WARN_EVERY_S)
		return;
	log->warned_at_s = now;
	log_warn("access log %s: %s; %" PRIu64 " lines lost", log_name(log), why,
		 log->lost_unwarned);
	log->lost_unwarned = 0;
}

/* At the end: what was lost since the last warning. */
static void warn_rest(const struct access_log *log)
{
	if (log->lost_unwarned)
		log_warn("access log %s: %" PRIu64 " more lines lost", log_name(log),
			 log->lost_unwarned);
}

static void count(struct access_log *log, uint64_t written, uint64_t lost, int err)
{
	pthread_mutex_lock(&log->lock);
	log->stats.written += written;
	log->stats.lost += lost;
	pthread_mutex_unlock(&log->lock);
	log->lost_unwarned += lost;
	if (lost)
		warn_lost(log, err);
}

static uint64_t count_lines(const char *text, size_t len)
{
	const char *end = text + len;
	uint64_t lines = 0;

	while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
		lines++;
		text++;
	}
	return lines;
}

/* Write whole lines; end the torn one of a failed write before, so that a reader loses that one
 * alone. */
static void write_lines(struct access_log *log, const char *text, size_t len)
{
	uint64_t lines = count_lines(text, len), whole;
	size_t done;
	int err = 0;

	if (log->torn && write_all(log, "\n", 1, &err) == 1)
		log->torn = false;
	if (log->torn) {
		count(log, 0, lines, err);
		return;
	}
	done = write_all(log, text, len, &err);
	whole = count_lines(text, done);
	log->torn = done > 0 && text[done - 1] != '\n';
	count(log, whole, lines - whole, err);
}

/* One line, appended to `text`. false: no memory. */
static bool print_line(FILE *text, const void *record, size_t record_size)
{
	cJSON *object = access_record_json(record, record_size);
	char *line = object ? cJSON_PrintUnformatted(object) : NULL;
	bool ok = line && fprintf(text, "%s\n", line) > 0;

	cJSON_free(line);
	cJSON_Delete(object);
	return ok;
}

static void write_batch(struct access_log *log)
{
	unsigned char record[ACCESS_RECORD_MAX];
	char *text = NULL;
	size_t len = 0, n = 0, made = 0, size;
	FILE *stream = open_memstream(&text, &len);

	while ((size = record_ring_take(&log->batch, record)) > 0) {
		n++;
		made += stream && print_line(stream, record, size);
	}
	if (stream && fclose(stream) == 0)
		write_lines(log, text, len);
	else
		made = 0;
	if (made < n)
		count(log, 0, n - made, -ENOMEM);
	free(text);
}

/* Under the lock: go on in the file that reopen has opened. */
static void adopt_next_fd(struct access_log *log)
{
	if (log->next_fd < 0)
		return;
	close(log->fd);
	log->fd = log->next_fd;
	log->next_fd = -1;
	log->regular = is_regular(log->fd);
	log->torn = false;
}

/* Wait for work and take a batch. false: end. */
static bool take_batch(struct access_log *log)
{
	unsigned char record[ACCESS_RECORD_MAX];
	bool any;

	pthread_mutex_lock(&log->lock);
	for (;;) {
		adopt_next_fd(log);
		if (record_ring_next(&log->queue) || log->stopping)
			break;
		pthread_cond_wait(&log->work, &log->lock);
	}
	any = record_ring_next(&log->queue) > 0;
	while (record_ring_next(&log->queue) &&
	       log->batch.size - log->batch.used >= 2 * ACCESS_RECORD_MAX)
		record_ring_put(&log->batch, record, record_ring_take(&log->queue, record));
	pthread_mutex_unlock(&log->lock);
	return any;
}

static void *writer_main(void *arg)
{
	struct access_log *log = arg;

	while (take_batch(log))
		write_batch(log);
	warn_rest(log);
	return NULL;
}

/* All signals stay with the other threads; a closed pipe is then EPIPE from write(2), not the
 * daemon's end. */
static int start_writer(struct access_log *log)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&log->writer, NULL, writer_main, log);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_setname_np(log->writer, "access-log");
	return -err;
}

static void log_free(struct access_log *log)
{
	if (log->next_fd >= 0)
		close(log->next_fd);
	if (log->path && log->fd >= 0)
		close(log->fd);
	pthread_cond_destroy(&log->work);
	pthread_mutex_destroy(&log->lock);
	record_ring_free(&log->queue);
	record_ring_free(&log->batch);
	free(log->path);
	free(log);
}

static int log_set_up(struct access_log *log, const char *path)
{
	bool to_stdout = strcmp(path, "-") == 0;

	log->path = to_stdout ? NULL : strdup(path);
	if (record_ring_init(&log->queue, QUEUE_BYTES) ||
	    record_ring_init(&log->batch, BATCH_BYTES) || (!to_stdout && !log->path))
		return -ENOMEM;
	log->fd = to_stdout ? STDOUT_FILENO : open_path(path);
	if (log->fd < 0)
		return log->fd;
	log->regular = is_regular(log->fd);
	return start_writer(log);
}

int access_log_open(const char *path, struct access_log **out)
{
	struct access_log *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log->fd = log->next_fd = -1;
	log->warned_at_s = -1;
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->work, NULL);
	err = log_set_up(log, path);
	if (err) {
		log_free(log);
		return err;
	}
	*out = log;
	return 0;
}

void access_log_close(struct access_log *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->stopping = true;
	log->stop_at_ms = monotonic_ms() + CLOSE_MS;
	pthread_cond_signal(&log->work);
	pthread_mutex_unlock(&log->lock);
	pthread_join(log->writer, NULL);
	log_free(log);
}

static bool queue_record(struct access_log *log, const void *record, size_t len)
{
	bool room, idle;

	pthread_mutex_lock(&log->lock);
	idle = record_ring_next(&log->queue) == 0;
	room = record_ring_put(&log->queue, record, len);
	if (room && idle)
		pthread_cond_signal(&log->work);
	log->stats.dropped += !room;
	pthread_mutex_unlock(&log->lock);
	return room;
}

bool access_log_connection(struct access_log *log, const struct conn_info *info)
{
	unsigned char record[ACCESS_RECORD_MAX];

	return queue_record(log, record, access_record_connection(info, record));
}

bool access_log_request(struct access_log *log, const struct observe_conn *conn,
			const struct observe_request *request)
{
	unsigned char record[ACCESS_RECORD_MAX];

	return queue_record(log, record, access_record_request(conn, request, record));
}

int access_log_reopen(struct access_log *log)
{
	int fd, old;

	if (!log->path)
		return 0;
	fd = open_path(log->path);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&log->lock);
	old = log->next_fd;
	log->next_fd = fd;
	pthread_cond_signal(&log->work);
	pthread_mutex_unlock(&log->lock);
	if (old >= 0)
		close(old);
	return 0;
}

void access_log_read_stats(struct access_log *log, struct access_log_stats *out)
{
	pthread_mutex_lock(&log->lock);
	*out = log->stats;
	pthread_mutex_unlock(&log->lock);
}
