// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * getaddrinfo(3) cannot be called off, and a name whose servers are silent keeps it for long:
 * other names must not wait behind it, so there are as many threads as questions, within reason.
 */
#define THREADS_MAX 64
#define QUEUE_MAX   1024

STAILQ_HEAD(request_queue, resolver_request);

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;  /* for threads: a question, or the end */
	pthread_cond_t ended; /* for resolver_free: a thread has gone */
	struct request_queue queue;
	size_t queue_len;
	size_t threads_len, busy; /* threads; of these in getaddrinfo(3) */
	bool stop;
	bool abandoned; /* resolver_free has returned: the last thread frees */
};

/* On the worker's thread: hand over, or forget when nobody waits any more. */
static void deliver(struct worker_post *post)
{
	struct resolver_request *request = (struct resolver_request *)post;

	if (request->asker)
		request->answered(request);
	else
		resolver_request_free(request);
}

/* Under the lock; NULL: the end. */
static struct resolver_request *queue_take(struct resolver *resolver)
{
	struct resolver_request *request;

	while (!resolver->stop && STAILQ_EMPTY(&resolver->queue))
		pthread_cond_wait(&resolver->wake, &resolver->lock);
	if (resolver->stop)
		return NULL;
	request = STAILQ_FIRST(&resolver->queue);
	STAILQ_REMOVE_HEAD(&resolver->queue, link);
	resolver->queue_len--;
	return request;
}

static void look_up(struct resolver_request *request)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
					      .ai_flags = AI_NUMERICSERV};

	if (atomic_load_explicit(&request->cancelled, memory_order_relaxed))
		request->error = EAI_CANCELED;
	else
		request->error = getaddrinfo(request->host, request->port, &hints,
					     &request->addresses);
}

static void resolver_destroy(struct resolver *resolver)
{
	pthread_cond_destroy(&resolver->ended);
	pthread_cond_destroy(&resolver->wake);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void *resolver_thread(void *arg)
{
	struct resolver *resolver = arg;
	struct resolver_request *request;
	bool last;

	pthread_setname_np(pthread_self(), "ksplit-dns");
	pthread_mutex_lock(&resolver->lock);
	while ((request = queue_take(resolver))) {
		resolver->busy++;
		pthread_mutex_unlock(&resolver->lock);
		look_up(request);
		pthread_mutex_lock(&resolver->lock);
		resolver->busy--;
		if (resolver->stop) /* there may be no worker any more */
			resolver_request_free(request);
		else
			worker_post(request->worker, &request->post);
	}
	resolver->threads_len--;
	pthread_cond_signal(&resolver->ended);
	last = resolver->abandoned && !resolver->threads_len;
	pthread_mutex_unlock(&resolver->lock);
	if (last)
		resolver_destroy(resolver);
	return NULL;
}

/* Under the lock: a thread more where all may be busy. 0, or -errno: there is none at all. */
static int add_thread(struct resolver *resolver)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (resolver->threads_len - resolver->busy >= resolver->queue_len ||
	    resolver->threads_len >= THREADS_MAX)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, resolver_thread, resolver);
	pthread_attr_destroy(&attr);
	resolver->threads_len += !err;
	return resolver->threads_len ? 0 : -err;
}

int resolver_new(struct resolver **out)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return -ENOMEM;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->wake, NULL);
	pthread_cond_init(&resolver->ended, NULL);
	STAILQ_INIT(&resolver->queue);
	*out = resolver;
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	struct resolver_request *request;
	bool last;

	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	pthread_cond_broadcast(&resolver->wake);
	while (resolver->threads_len > resolver->busy)
		pthread_cond_wait(&resolver->ended, &resolver->lock);
	while ((request = STAILQ_FIRST(&resolver->queue))) {
		STAILQ_REMOVE_HEAD(&resolver->queue, link);
		resolver_request_free(request);
	}
	resolver->abandoned = true;
	last = !resolver->threads_len;
	pthread_mutex_unlock(&resolver->lock);
	if (last)
		resolver_destroy(resolver);
}

int resolver_ask(struct resolver *resolver, struct worker *worker, const char *host, uint16_t port,
		 void *asker, void (*answered)(struct resolver_request *request),
		 struct resolver_request **out)
{
	struct resolver_request *request = calloc(1, sizeof(*request));
	int err;

	if (!request)
		return -ENOMEM;
	request->post.run = deliver;
	request->worker = worker;
	request->asker = asker;
	request->answered = answered;
	snprintf(request->host, sizeof(request->host), "%s", host);
	snprintf(request->port, sizeof(request->port), "%u", port);
	*out = request; /* before it can be answered */
	pthread_mutex_lock(&resolver->lock);
	err = resolver->queue_len >= QUEUE_MAX ? -EAGAIN : 0;
	if (!err) {
		STAILQ_INSERT_TAIL(&resolver->queue, request, link);
		resolver->queue_len++;
		err = add_thread(resolver);
		if (err) {
			STAILQ_REMOVE(&resolver->queue, request, resolver_request, link);
			resolver->queue_len--;
		}
		pthread_cond_signal(&resolver->wake);
	}
	pthread_mutex_unlock(&resolver->lock);
	if (err) {
		*out = NULL;
		resolver_request_free(request);
	}
	return err;
}

void resolver_cancel(struct resolver_request *request)
{
	request->asker = NULL;
	atomic_store_explicit(&request->cancelled, true, memory_order_relaxed);
}

void resolver_request_free(struct resolver_request *request)
{
	if (request->addresses)
		freeaddrinfo(request->addresses);
	free(request);
}
