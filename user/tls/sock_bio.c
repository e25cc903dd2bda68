// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/sock_bio.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct sock_bio {
	int fd;
	struct out_buffer *out;
	int error;
	bool drained;
	bool writes_forbidden;
	bool eof;
};

static int bio_create(BIO *bio)
{
	struct sock_bio *sb = calloc(1, sizeof(*sb));

	if (!sb)
		return 0;
	BIO_set_data(bio, sb);
	return 1;
}

static int bio_destroy(BIO *bio)
{
	free(BIO_get_data(bio));
	BIO_set_data(bio, NULL);
	return 1;
}

static int bio_read(BIO *bio, char *buf, size_t len, size_t *read_len)
{
	struct sock_bio *sb = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	*read_len = 0;
	do {
		n = recv(sb->fd, buf, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	sb->drained = n < (ssize_t)len;
	if (n > 0) {
		*read_len = (size_t)n;
		return 1;
	}
	if (n == 0) {
		sb->eof = true;
		return 0;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		BIO_set_retry_read(bio);
	else
		sb->error = errno;
	return 0;
}

static int bio_write(BIO *bio, const char *buf, size_t len, size_t *written)
{
	struct sock_bio *sb = BIO_get_data(bio);
	int err;

	BIO_clear_retry_flags(bio);
	*written = 0;
	if (sb->writes_forbidden) {
		sb->error = EPERM;
		return 0;
	}
	err = out_buffer_append(sb->out, buf, len);
	if (err == -ENOSPC) {
		/* A peer that reads nothing during its handshake. */
		err = out_buffer_send(sb->out, sb->fd);
		if (!err || err == -EAGAIN)
			err = out_buffer_append(sb->out, buf, len);
		if (err == -ENOSPC) {
			BIO_set_retry_write(bio);
			return 0;
		}
	}
	if (err) {
		sb->error = -err;
		return 0;
	}
	*written = len;
	return 1;
}

static long bio_flush(BIO *bio, struct sock_bio *sb)
{
	int err = out_buffer_send(sb->out, sb->fd);

	BIO_clear_retry_flags(bio);
	if (!err)
		return 1;
	if (err == -EAGAIN) {
		BIO_set_retry_write(bio);
		return -1;
	}
	sb->error = -err;
	return 0;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	struct sock_bio *sb = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: return bio_flush(bio, sb);
	case BIO_CTRL_EOF: return sb->eof;
	case BIO_CTRL_WPENDING: return (long)(sb->out->len - sb->out->off);
	default: return 0;
	}
}

BIO_METHOD *sock_bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ksplit");

	if (!method)
		return NULL;
	BIO_meth_set_create(method, bio_create);
	BIO_meth_set_destroy(method, bio_destroy);
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}

BIO *sock_bio_new(BIO_METHOD *method, int fd, struct out_buffer *out)
{
	BIO *bio = BIO_new(method);
	struct sock_bio *sb;

	if (!bio)
		return NULL;
	sb = BIO_get_data(bio);
	sb->fd = fd;
	sb->out = out;
	BIO_set_init(bio, 1);
	return bio;
}

void sock_bio_forbid_writes(BIO *bio)
{
	struct sock_bio *sb = BIO_get_data(bio);

	sb->writes_forbidden = true;
}

int sock_bio_errno(BIO *bio)
{
	struct sock_bio *sb = BIO_get_data(bio);

	return sb->error;
}

bool sock_bio_drained(BIO *bio)
{
	struct sock_bio *sb = BIO_get_data(bio);

	return sb->drained;
}
