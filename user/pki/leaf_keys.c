// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/leaf_keys.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
	struct waiter *next;
	leaf_keys_ready_fn ready;
	void *arg;
};

/* One kind of key. */
struct slot {
	struct leaf_keys *keys;
	const char *type;
	EVP_PKEY *key;   /* NULL: not yet */
	bool making;     /* `thread` is at it */
	bool has_thread; /* to be joined */
	pthread_t thread;
	struct waiter *waiters; /* owned */
};

struct leaf_keys {
	enum leaf_key_kind first;
	pthread_mutex_t lock; /* guards the slots */
	struct slot slots[LEAF_KEY_KINDS];
};

int leaf_key_make(const char *type, EVP_PKEY **out)
{
	EVP_PKEY *key;

	if (!strcmp(type, "P-256") || !strcmp(type, "P-384"))
		key = EVP_EC_gen(type);
	else if (!strcmp(type, "RSA-1024"))
		key = EVP_RSA_gen(1024);
	else if (!strcmp(type, "RSA-2048"))
		key = EVP_RSA_gen(2048);
	else if (!strcmp(type, "RSA-3072"))
		key = EVP_RSA_gen(3072);
	else
		return -EINVAL;
	if (!key)
		return -EIO;
	*out = key;
	return 0;
}

int leaf_keys_new(const char *first, struct leaf_keys **out)
{
	static const char *const types[LEAF_KEY_KINDS] = {"P-256", "RSA-2048", "RSA-1024"};
	struct leaf_keys *keys = calloc(1, sizeof(*keys));
	int err;

	if (!keys)
		return -ENOMEM;
	keys->first = strncmp(first, "RSA-", 4) ? LEAF_KEY_EC : LEAF_KEY_RSA;
	for (int i = 0; i < LEAF_KEY_KINDS; i++)
		keys->slots[i] = (struct slot){.keys = keys, .type = types[i]};
	err = leaf_key_make(first, &keys->slots[keys->first].key);
	if (!err)
		err = -pthread_mutex_init(&keys->lock, NULL);
	if (err) {
		EVP_PKEY_free(keys->slots[keys->first].key);
		free(keys);
		return err;
	}
	*out = keys;
	return 0;
}

void leaf_keys_free(struct leaf_keys *keys)
{
	if (!keys)
		return;
	for (int i = 0; i < LEAF_KEY_KINDS; i++)
		if (keys->slots[i].has_thread)
			pthread_join(keys->slots[i].thread, NULL);
	for (int i = 0; i < LEAF_KEY_KINDS; i++)
		EVP_PKEY_free(keys->slots[i].key);
	pthread_mutex_destroy(&keys->lock);
	free(keys);
}

enum leaf_key_kind leaf_keys_first(const struct leaf_keys *keys)
{
	return keys->first;
}

static void *make_thread(void *arg)
{
	struct slot *slot = arg;
	struct waiter *waiters;
	EVP_PKEY *key = NULL;

	pthread_setname_np(pthread_self(), "ksplit-leaf-key");
	if (leaf_key_make(slot->type, &key))
		ERR_clear_error();
	pthread_mutex_lock(&slot->keys->lock);
	slot->key = key;
	slot->making = false;
	waiters = slot->waiters;
	slot->waiters = NULL;
	pthread_mutex_unlock(&slot->keys->lock);
	while (waiters) {
		struct waiter *next = waiters->next;

		waiters->ready(waiters->arg, key);
		free(waiters);
		waiters = next;
	}
	return NULL;
}

/* Under the lock. Signals are the main thread's. */
static int make_begin(struct slot *slot)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&slot->thread, NULL, make_thread, slot);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	slot->has_thread = slot->making = !err;
	return -err;
}

/* Under the lock. */
static int wait_for(struct slot *slot, leaf_keys_ready_fn ready, void *arg)
{
	struct waiter *waiter;
	int err = 0;

	if (slot->has_thread && !slot->making) /* it has failed, and would again */
		return -EIO;
	waiter = malloc(sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	if (!slot->making)
		err = make_begin(slot);
	if (err) {
		free(waiter);
		return err;
	}
	*waiter = (struct waiter){.next = slot->waiters, .ready = ready, .arg = arg};
	slot->waiters = waiter;
	return -EINPROGRESS;
}

int leaf_keys_get(struct leaf_keys *keys, enum leaf_key_kind kind, leaf_keys_ready_fn ready,
		  void *waiter, EVP_PKEY **out)
{
	struct slot *slot = &keys->slots[kind];
	int err = 0;

	pthread_mutex_lock(&keys->lock);
	*out = slot->key;
	if (!slot->key)
		err = wait_for(slot, ready, waiter);
	pthread_mutex_unlock(&keys->lock);
	return err;
}
