// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/signer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/child.h"
#include "core/log.h"
#include "pki/signer_message.h"

#define SEND_BUFFER (4 * 1024 * 1024) /* some thousand requests; the system may allow less */
#define HELLO_MS    10000
#define END_MS	    1000

/* A request on its way; the process answers in order. */
struct request {
	STAILQ_ENTRY(request) link;
	uint64_t id;
	signer_done_fn done;
	void *arg;
};

STAILQ_HEAD(requests, request);

struct signer {
	int fd;
	_Atomic pid_t pid; /* 0: gone */
	X509_ALGOR *algorithm;
	pthread_t thread;
	bool has_thread;
	_Atomic bool stopping;
	uint8_t *answer;      /* SIGNER_MESSAGE_MAX bytes of the thread's */
	pthread_mutex_t lock; /* guards what follows, and that it is sent in order */
	struct requests requests;
	uint64_t next_id;
	bool gone;
	struct signer_stats stats;
};

static ssize_t receive(int fd, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(fd, buf, len, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* The first message: what it signs with, or why it cannot. */
static int read_hello(struct signer *signer, char *error, size_t error_len)
{
	ssize_t n = receive(signer->fd, signer->answer, SIGNER_MESSAGE_MAX);
	const uint8_t *at = signer->answer + sizeof(struct signer_head);
	struct signer_head head;
	int rest;

	snprintf(error, error_len, "the signing process ended before it was ready");
	if (n < (ssize_t)sizeof(head))
		return -EPIPE;
	memcpy(&head, signer->answer, sizeof(head));
	rest = (int)((size_t)n - sizeof(head));
	if (head.verdict != SIGNER_SIGNED) {
		snprintf(error, error_len, "%.*s", rest, (const char *)at);
		return head.err > 0 ? -head.err : -EIO;
	}
	signer->algorithm = d2i_X509_ALGOR(NULL, &at, rest);
	return signer->algorithm ? 0 : -EIO;
}

static void run(const void *arg, int fd)
{
	signer_process(arg, fd);
}

static int start_process(struct signer *signer, const struct signer_options *options)
{
	pid_t pid = child_start(SOCK_SEQPACKET, run, options, &signer->fd);

	if (pid < 0)
		return pid;
	atomic_store(&signer->pid, pid);
	return 0;
}

static struct signer *make(void)
{
	struct signer *signer = calloc(1, sizeof(*signer));

	if (!signer)
		return NULL;
	signer->fd = -1;
	signer->next_id = 1;
	STAILQ_INIT(&signer->requests);
	pthread_mutex_init(&signer->lock, NULL);
	signer->answer = malloc(SIGNER_MESSAGE_MAX);
	if (signer->answer)
		return signer;
	signer_stop(signer);
	return NULL;
}

/* There is a process: is it ready? Then the signer is the caller's, else it is ended. */
static int finish(struct signer *signer, struct signer **out, char *error, size_t error_len)
{
	const int room = SEND_BUFFER;
	int err;

	setsockopt(signer->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	err = read_hello(signer, error, error_len);
	if (err)
		signer_stop(signer);
	else
		*out = signer;
	return err;
}

int signer_start(const struct signer_options *options, struct signer **out, char *error,
		 size_t error_len)
{
	struct signer *signer = make();
	int err = signer ? start_process(signer, options) : -ENOMEM;

	snprintf(error, error_len, "cannot start the signing process");
	if (!err)
		return finish(signer, out, error, error_len);
	signer_stop(signer);
	return err;
}

static int wait_hello(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int n;

	do {
		n = poll(&poll_fd, 1, HELLO_MS);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

int signer_adopt(int fd, pid_t pid, struct signer **out, char *error, size_t error_len)
{
	struct signer *signer = make();
	int err;

	if (!signer) {
		close(fd);
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	signer->fd = fd;
	atomic_store(&signer->pid, pid);
	snprintf(error, error_len, "the signing process does not get ready");
	err = wait_hello(fd);
	if (!err)
		return finish(signer, out, error, error_len);
	signer_stop(signer);
	return err;
}

const X509_ALGOR *signer_algorithm(const struct signer *signer)
{
	return signer->algorithm;
}

pid_t signer_pid(const struct signer *signer)
{
	return atomic_load(&signer->pid);
}

void signer_read_stats(struct signer *signer, struct signer_stats *out)
{
	pthread_mutex_lock(&signer->lock);
	*out = signer->stats;
	pthread_mutex_unlock(&signer->lock);
}

/* Under the lock. `err` is what whoever asked is told. */
static void count(struct signer *signer, int err)
{
	switch (err) {
	case 0: signer->stats.issued++; break;
	case -EBUSY: signer->stats.busy++; break;
	case -EACCES: signer->stats.refused++; break;
	default: signer->stats.failed++; break;
	}
}

/* From now on nothing is sent; what is on its way comes to nothing. */
static void fail_all(struct signer *signer)
{
	struct requests requests = STAILQ_HEAD_INITIALIZER(requests);
	struct request *request;

	pthread_mutex_lock(&signer->lock);
	signer->gone = true;
	STAILQ_CONCAT(&requests, &signer->requests);
	STAILQ_FOREACH(request, &requests, link)
		count(signer, -EPIPE);
	pthread_mutex_unlock(&signer->lock);
	while ((request = STAILQ_FIRST(&requests))) {
		STAILQ_REMOVE_HEAD(&requests, link);
		request->done(request->arg, -EPIPE, NULL);
		free(request);
	}
}

static int error_of(enum signer_verdict verdict)
{
	if (verdict == SIGNER_SIGNED)
		return 0;
	if (verdict == SIGNER_BUSY)
		return -EBUSY;
	log_warn("the signing process has not signed a leaf: %s", signer_verdict_text(verdict));
	return -EACCES;
}

/* The certificate, and what is behind it. */
static struct signed_leaf read_made(uint8_t *bytes, size_t len, uint64_t cert_len)
{
	struct signed_leaf made = {.cert = bytes, .cert_len = len};

	if (cert_len >= len)
		return made;
	made.cert_len = (size_t)cert_len;
	made.staple = bytes + cert_len;
	made.staple_len = len - (size_t)cert_len;
	return made;
}

/* False: that is no answer to the oldest request. */
static bool take_answer(struct signer *signer, size_t len)
{
	struct signed_leaf made;
	struct signer_head head;
	struct request *request;
	int err;

	if (len < sizeof(head))
		return false;
	memcpy(&head, signer->answer, sizeof(head));
	made = read_made(signer->answer + sizeof(head), len - sizeof(head), head.cert_len);
	err = error_of((enum signer_verdict)head.verdict);
	pthread_mutex_lock(&signer->lock);
	request = STAILQ_FIRST(&signer->requests);
	if (request && request->id == head.id) {
		STAILQ_REMOVE_HEAD(&signer->requests, link);
		count(signer, err);
	} else {
		request = NULL;
	}
	pthread_mutex_unlock(&signer->lock);
	if (!request)
		return false;
	request->done(request->arg, err, err ? NULL : &made);
	free(request);
	return true;
}

static void *listen_thread(void *arg)
{
	struct signer *signer = arg;
	ssize_t n;

	pthread_setname_np(pthread_self(), "ksplit-leaves");
	do {
		n = receive(signer->fd, signer->answer, SIGNER_MESSAGE_MAX);
	} while (n > 0 && take_answer(signer, (size_t)n));
	atomic_store(&signer->pid, 0);
	if (!atomic_load(&signer->stopping))
		log_error("the signing process has gone: names without a cached leaf are passed "
			  "through unread from now on; restart ksplitd");
	fail_all(signer);
	return NULL;
}

int signer_listen(struct signer *signer)
{
	int err = pthread_create(&signer->thread, NULL, listen_thread, signer);

	signer->has_thread = !err;
	return -err;
}

static int send_request(const struct signer *signer, struct signer_ask *ask, const uint8_t *tbs,
			size_t len)
{
	struct iovec parts[] = {{.iov_base = ask, .iov_len = sizeof(*ask)},
				{.iov_base = (void *)tbs, .iov_len = len}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (sendmsg(signer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return -EBUSY;
	return errno == ENOMEM ? -ENOMEM : -EPIPE;
}

int signer_request(struct signer *signer, const uint8_t *tbs, size_t len,
		   const struct revocation *revocation, signer_done_fn done, void *arg)
{
	struct signer_ask ask = {.revoked = revocation != NULL};
	struct request *request;
	int err = -EPIPE;

	if (len > SIGNER_TBS_MAX)
		return -EMSGSIZE;
	request = malloc(sizeof(*request));
	if (!request)
		return -ENOMEM;
	*request = (struct request){.done = done, .arg = arg};
	if (revocation) {
		ask.revoked_at = revocation->at;
		ask.reason = revocation->reason;
	}
	pthread_mutex_lock(&signer->lock);
	ask.id = request->id = signer->next_id++;
	if (!signer->gone)
		err = send_request(signer, &ask, tbs, len);
	if (err)
		count(signer, err);
	else
		STAILQ_INSERT_TAIL(&signer->requests, request, link);
	pthread_mutex_unlock(&signer->lock);
	if (err)
		free(request);
	return err;
}

void signer_stop(struct signer *signer)
{
	pid_t pid;

	if (!signer)
		return;
	pid = signer_pid(signer);
	atomic_store(&signer->stopping, true);
	if (signer->fd >= 0)
		shutdown(signer->fd, SHUT_RDWR);
	if (signer->has_thread)
		pthread_join(signer->thread, NULL);
	fail_all(signer);
	if (signer->fd >= 0)
		close(signer->fd);
	/* It ends when its socket does; of a daemon that went to the background it is no child. */
	if (pid > 0)
		child_await(pid, END_MS);
	pthread_mutex_destroy(&signer->lock);
	X509_ALGOR_free(signer->algorithm);
	free(signer->answer);
	free(signer);
}
