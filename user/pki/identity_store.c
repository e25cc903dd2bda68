// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/identity_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

enum { FILE_CERT, FILE_KEY, FILE_OCSP, FILES };

/* What changes when a file, or what a symbolic link leads to, is replaced or written to. */
struct stamp { /* without padding: compared as bytes */
	long error; /* of stat(2); the rest is 0 then */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct watched {
	struct stamp loaded[FILES]; /* as the files were when they were last looked into */
	struct stamp seen[FILES];   /* ... at the last poll */
	bool staple_over;	    /* told that it is out of date */
};

struct identity_store {
	const struct identity_source *sources; /* not owned */
	size_t len;
	struct watched *watched; /* owned; one for each source */
	bool polled;		 /* at least once */
	pthread_mutex_t lock;	 /* of what follows */
	struct identity_set *set;
	struct identity_store_stats stats;
};

static struct stamp stamp_of(const char *path)
{
	struct stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp));
	if (!path)
		return stamp;
	if (stat(path, &st)) {
		stamp.error = errno;
		return stamp;
	}
	stamp.dev = st.st_dev;
	stamp.ino = st.st_ino;
	stamp.size = st.st_size;
	stamp.mtime = st.st_mtim;
	stamp.ctime = st.st_ctim;
	return stamp;
}

static void stamps_of(const struct identity_source *source, struct stamp out[FILES])
{
	out[FILE_CERT] = stamp_of(source->cert);
	out[FILE_KEY] = stamp_of(source->key);
	out[FILE_OCSP] = stamp_of(source->ocsp);
}

static void look(struct identity_store *store)
{
	for (size_t i = 0; i < store->len; i++) {
		stamps_of(&store->sources[i], store->watched[i].loaded);
		memcpy(store->watched[i].seen, store->watched[i].loaded,
		       sizeof(store->watched[i].seen));
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_source(const struct identity_source *a, const struct identity_source *b)
{
	bool same = same_text(a->cert, b->cert) && same_text(a->key, b->key) &&
		    same_text(a->ocsp, b->ocsp) && a->names_len == b->names_len &&
		    a->is_default == b->is_default;

	for (size_t i = 0; same && i < a->names_len; i++)
		same = !strcmp(a->names[i], b->names[i]);
	return same;
}

/* What cannot be looked at any more is what it was, as far as anybody can tell. */
static bool same_files(const struct watched *watched, const struct identity_source *source)
{
	struct stamp now[FILES];
	bool same = true;

	stamps_of(source, now);
	for (size_t i = 0; i < FILES; i++)
		same &= now[i].error == EACCES ||
			!memcmp(&now[i], &watched->loaded[i], sizeof(now[i]));
	return same;
}

static bool is_unchanged(const struct identity_source *sources, size_t len,
			 const struct identity_store *before)
{
	bool same = before && before->len == len;

	for (size_t i = 0; same && i < len; i++)
		same = same_source(&sources[i], &before->sources[i]) &&
		       same_files(&before->watched[i], &sources[i]);
	return same;
}

int identity_store_follow(const struct identity_source *sources, size_t len,
			  struct identity_store *before, struct identity_store **out, char *error,
			  size_t error_len)
{
	struct identity_store *store = calloc(1, sizeof(*store));
	int err = -ENOMEM;

	if (!store)
		return err;
	pthread_mutex_init(&store->lock, NULL);
	store->sources = sources;
	store->len = len;
	store->watched = calloc(len ? len : 1, sizeof(*store->watched));
	if (before)
		identity_store_read_stats(before, &store->stats);
	if (store->watched && is_unchanged(sources, len, before)) {
		memcpy(store->watched, before->watched, len * sizeof(*store->watched));
		store->polled = before->polled;
		store->set = identity_store_get(before);
		err = 0;
	} else if (store->watched) {
		look(store); /* first: what changes while it is read is read again */
		err = identity_set_load(sources, len, before ? before->set : NULL, &store->set,
					error, error_len);
	}
	if (err)
		identity_store_free(store);
	else
		*out = store;
	return err;
}

int identity_store_new(const struct identity_source *sources, size_t len,
		       struct identity_store **out, char *error, size_t error_len)
{
	return identity_store_follow(sources, len, NULL, out, error, error_len);
}

void identity_store_free(struct identity_store *store)
{
	if (!store)
		return;
	identity_set_put(store->set);
	free(store->watched);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

struct identity_set *identity_store_get(struct identity_store *store)
{
	struct identity_set *set;

	pthread_mutex_lock(&store->lock);
	set = identity_set_get(store->set);
	pthread_mutex_unlock(&store->lock);
	return set;
}

/* True: something is not as it was loaded, and nothing has changed since the last poll. */
static bool has_settled_change(struct identity_store *store)
{
	bool changed = false, settled = true;

	for (size_t i = 0; i < store->len; i++) {
		struct watched *watched = &store->watched[i];
		struct stamp now[FILES];

		stamps_of(&store->sources[i], now);
		changed |= memcmp(now, watched->loaded, sizeof(now)) != 0;
		settled &= !memcmp(now, watched->seen, sizeof(now));
		memcpy(watched->seen, now, sizeof(now));
	}
	return changed && settled;
}

static void replace(struct identity_store *store, struct identity_set *set)
{
	struct identity_set *old;

	pthread_mutex_lock(&store->lock);
	old = store->set;
	store->set = set;
	store->stats.reloads++;
	pthread_mutex_unlock(&store->lock);
	identity_set_put(old);
	for (size_t i = 0; i < store->len; i++)
		store->watched[i].staple_over = false;
	log_info("identities: files have changed; all %zu are loaded again", store->len);
}

static void tell_old_staples(struct identity_store *store)
{
	time_t now = time(NULL);

	for (size_t i = 0; i < store->len; i++) {
		/* This thread alone replaces the set, so that it may look without the lock. */
		const struct ocsp_staple *staple = &identity_set_at(store->set, i)->staple;

		if (!staple->der || store->watched[i].staple_over ||
		    ocsp_staple_is_fresh(staple, now))
			continue;
		store->watched[i].staple_over = true;
		log_warn("%s: is out of date now; nothing is stapled until it is renewed",
			 store->sources[i].ocsp);
	}
}

static void check_readable(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd >= 0)
		close(fd);
	else if (path && errno == EACCES)
		log_warn("%s: was read at the start, but may not be read again by the user that "
			 "ksplitd has become; once it is renewed, ksplitd has to be restarted (or "
			 "let that user read it)",
			 path);
}

/*
 * The files were loaded by the user that started the daemon. Whether the one that it runs as since
 * then can load them again has to be known before they are renewed.
 */
static void first_poll(struct identity_store *store)
{
	for (size_t i = 0; i < store->len; i++) {
		const struct identity_source *source = &store->sources[i];
		struct watched *watched = &store->watched[i];
		struct stamp now[FILES];

		check_readable(source->cert);
		if (strcmp(source->key, source->cert) != 0)
			check_readable(source->key);
		check_readable(source->ocsp);
		stamps_of(source, now);
		for (size_t k = 0; k < FILES; k++)
			if (now[k].error == EACCES)
				watched->loaded[k] = watched->seen[k] = now[k];
	}
	store->polled = true;
}

int identity_store_poll(struct identity_store *store)
{
	struct identity_set *set = NULL;
	char error[512];
	int err;

	if (!store->polled)
		first_poll(store);
	tell_old_staples(store);
	if (!has_settled_change(store))
		return 0;
	look(store);
	err = identity_set_load(store->sources, store->len, store->set, &set, error, sizeof(error));
	if (!err) {
		replace(store, set);
		return 1;
	}
	pthread_mutex_lock(&store->lock);
	store->stats.failed++;
	pthread_mutex_unlock(&store->lock);
	log_error("identities: %s; files have changed, and what was loaded before stays in use",
		  error);
	return err;
}

void identity_store_read_stats(struct identity_store *store, struct identity_store_stats *out)
{
	pthread_mutex_lock(&store->lock);
	*out = store->stats;
	pthread_mutex_unlock(&store->lock);
}
