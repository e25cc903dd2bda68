// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RESOLVER_THREADS 2
#define QUEUE_MAX	 1024

STAILQ_HEAD(request_queue, resolver_request);

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct request_queue queue;
	size_t queue_len;
	bool stop;
	pthread_t threads[RESOLVER_THREADS];
	size_t threads_len;
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

static struct resolver_request *queue_take(struct resolver *resolver)
{
	struct resolver_request *request;

	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stop && STAILQ_EMPTY(&resolver->queue))
		pthread_cond_wait(&resolver->wake, &resolver->lock);
	request = resolver->stop ? NULL : STAILQ_FIRST(&resolver->queue);
	if (request) {
		STAILQ_REMOVE_HEAD(&resolver->queue, link);
		resolver->queue_len--;
	}
	pthread_mutex_unlock(&resolver->lock);
	return request;
}

static void *resolver_thread(void *arg)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
					      .ai_flags = AI_NUMERICSERV};
	struct resolver *resolver = arg;
	struct resolver_request *request;

	pthread_setname_np(pthread_self(), "ksplit-dns");
	while ((request = queue_take(resolver))) {
		request->error = getaddrinfo(request->host, request->port, &hints,
					     &request->addresses);
		worker_post(request->worker, &request->post);
	}
	return NULL;
}

int resolver_new(struct resolver **out)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return -ENOMEM;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->wake, NULL);
	STAILQ_INIT(&resolver->queue);
	for (size_t i = 0; i < RESOLVER_THREADS; i++) {
		int err = pthread_create(&resolver->threads[i], NULL, resolver_thread, resolver);

		if (err) {
			resolver_free(resolver);
			return -err;
		}
		resolver->threads_len++;
	}
	*out = resolver;
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	struct resolver_request *request;

	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	pthread_cond_broadcast(&resolver->wake);
	pthread_mutex_unlock(&resolver->lock);
	for (size_t i = 0; i < resolver->threads_len; i++)
		pthread_join(resolver->threads[i], NULL);
	while ((request = STAILQ_FIRST(&resolver->queue))) {
		STAILQ_REMOVE_HEAD(&resolver->queue, link);
		resolver_request_free(request);
	}
	pthread_cond_destroy(&resolver->wake);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

int resolver_ask(struct resolver *resolver, struct worker *worker, const char *host, uint16_t port,
		 void *asker, void (*answered)(struct resolver_request *request),
		 struct resolver_request **out)
{
	struct resolver_request *request = calloc(1, sizeof(*request));
	int err = 0;

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
	if (resolver->queue_len >= QUEUE_MAX) {
		err = -EAGAIN;
	} else {
		STAILQ_INSERT_TAIL(&resolver->queue, request, link);
		resolver->queue_len++;
		pthread_cond_signal(&resolver->wake);
	}
	pthread_mutex_unlock(&resolver->lock);
	if (err) {
		*out = NULL;
		resolver_request_free(request);
	}
	return err;
}

void resolver_request_free(struct resolver_request *request)
{
	if (request->addresses)
		freeaddrinfo(request->addresses);
	free(request);
}
