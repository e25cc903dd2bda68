// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/content.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap/content_name.h"
#include "tap/private_file.h"

#define SAME_NAMES 100 /* a name may be there from an earlier start */
#define SUFFIX_MAX 40
#define READ_BYTES 65536

struct content_file {
	int fd; /* -1: not made yet, or given up */
	bool over; /* nothing more is written into it */
	loff_t len;
	uint64_t missing;
};

struct content_conn {
	struct content_file file[FLOWS];
	size_t fixed;	   /* see private_file_make */
	unsigned int same; /* of files that have the same name, which? 0: the first */
	bool named;	   /* `same` is settled */
	char path[];
};

static const char *const suffixes[FLOWS] = {
	[FLOW_TO_ORIGIN] = ".to-origin", [FLOW_TO_CLIENT] = ".to-client"};

struct content_conn *content_conn_new(const char *pattern, const struct tap_about *about)
{
	char path[PATH_MAX - SUFFIX_MAX];
	struct content_conn *conn;

	if (content_name_expand(pattern, about, path, sizeof(path)))
		return NULL;
	conn = calloc(1, sizeof(*conn) + strlen(path) + 1);
	if (!conn)
		return NULL;
	for (int i = 0; i < FLOWS; i++)
		conn->file[i].fd = -1;
	conn->fixed = content_name_fixed(pattern);
	strcpy(conn->path, path);
	return conn;
}

static void print_path(const struct content_conn *conn, enum conn_flow flow, char *out)
{
	if (conn->same)
		snprintf(out, PATH_MAX, "%s~%u%s", conn->path, conn->same, suffixes[flow]);
	else
		snprintf(out, PATH_MAX, "%s%s", conn->path, suffixes[flow]);
}

/* Both directions have the same number behind their name. */
static int make_file(struct content_conn *conn, enum conn_flow flow)
{
	char path[PATH_MAX];
	int fd;

	do {
		print_path(conn, flow, path);
		fd = private_file_make(path, conn->fixed);
	} while (fd == -EEXIST && !conn->named && ++conn->same < SAME_NAMES);
	conn->named |= fd >= 0;
	return fd;
}

/* Where a file system cannot be spliced into. */
static ssize_t write_by_hand(struct content_file *file, int pipe_fd, size_t len)
{
	char bytes[READ_BYTES];
	ssize_t n = read(pipe_fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes));
	ssize_t done = 0;

	while (n > 0 && done < n) {
		ssize_t m = pwrite(file->fd, bytes + done, (size_t)(n - done), file->len + done);

		if (m < 0 && errno != EINTR)
			break;
		done += m > 0 ? m : 0;
	}
	explicit_bzero(bytes, n > 0 ? (size_t)n : 0);
	if (done > 0)
		file->len += done;
	return done == n ? n : -1;
}

/* Pages go from the pipe to the file. Returns how much; less than `len`: errno. */
static size_t write_pipe(struct content_file *file, int pipe_fd, size_t len)
{
	const loff_t start = file->len;
	bool by_hand = false;
	size_t done = 0;

	while (done < len) {
		ssize_t n = by_hand ? write_by_hand(file, pipe_fd, len - done)
				    : splice(pipe_fd, NULL, file->fd, &file->len, len - done,
					     SPLICE_F_MOVE);

		if (n < 0 && errno == EINVAL && !by_hand)
			by_hand = true;
		else if (n == 0 || (n < 0 && errno != EINTR))
			break;
		done = (size_t)(file->len - start);
	}
	return done;
}

static size_t write_bytes(struct content_file *file, const uint8_t *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(file->fd, bytes + done, len - done, file->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
		file->len += n;
	}
	return done;
}

static size_t write_item(struct content_file *file, const struct tap_item *item, size_t len)
{
	return item->pipe ? write_pipe(file, item->pipe->read_fd, len)
			  : write_bytes(file, item->bytes, len);
}

/* How much of it got into the file. */
static size_t keep(struct content *content, struct content_conn *conn,
		   const struct tap_item *item)
{
	struct content_file *file = &conn->file[item->flow];
	size_t len = item->len < content->left ? item->len : (size_t)content->left;
	size_t done;

	if (file->over || !len)
		return 0;
	if (file->fd < 0) {
		file->fd = make_file(conn, item->flow);
		if (file->fd < 0) {
			tap_told_failure(content->told, conn->path, file->fd);
			return 0;
		}
		tap_told_file(content->told);
	}
	errno = 0;
	done = write_item(file, item, len);
	if (done < len)
		tap_told_failure(content->told, conn->path, errno ? -errno : -EIO);
	content->left -= done;
	return done;
}

static void handle_data(struct content *content, struct tap_item *item)
{
	struct content_conn *conn = item->object;
	struct content_file *file = &conn->file[item->flow];
	size_t done = content->target ? keep(content, conn, item) : 0;

	if (done < item->len) {
		file->over = true; /* what came later would not be where it belongs */
		file->missing += item->len - done;
		if (item->pipe)
			item->pipe->spoiled = true;
	}
	tap_told_count(content->told, done, 0);
}

static void mark_truncated(const struct content_conn *conn, enum conn_flow flow)
{
	char path[PATH_MAX], marked[PATH_MAX + 16];

	print_path(conn, flow, path);
	snprintf(marked, sizeof(marked), "%s.truncated", path);
	renameat2(AT_FDCWD, path, AT_FDCWD, marked, RENAME_NOREPLACE);
}

static void handle_close(struct content *content, struct tap_item *item)
{
	struct content_conn *conn = item->object;
	uint64_t missing = 0;

	for (int i = 0; i < FLOWS; i++) {
		struct content_file *file = &conn->file[i];

		file->missing += item->missing[i];
		missing += file->missing;
		if (file->fd < 0)
			continue;
		close(file->fd);
		if (file->missing)
			mark_truncated(conn, (enum conn_flow)i);
	}
	if (missing)
		tap_told_truncated(content->told, missing);
	free(conn);
}

void content_handle(void *ctx, struct tap_item *item)
{
	struct content *content = ctx;

	switch (item->what) {
	case TAP_DATA: handle_data(content, item); break;
	case TAP_CLOSE: handle_close(content, item); break;
	case TAP_ADOPT:
		tap_target_free(content->target);
		content->target = item->object;
		content->left = content->target ? content->target->most : 0;
		break;
	}
}
