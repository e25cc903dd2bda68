// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/taps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap/content_name.h"
#include "tap/private_file.h"
#include "tap/taps_inner.h"

/* What waits for a thread, in bytes. */
#define KEYLOG_QUEUE  (1024 * 1024)
#define CONTENT_QUEUE (8 * 1024 * 1024)
#define PCAPNG_QUEUE  (8 * 1024 * 1024)

int taps_new(struct taps **out)
{
	struct taps *taps = calloc(1, sizeof(*taps));

	if (!taps)
		return -ENOMEM;
	pthread_mutex_init(&taps->lock, NULL);
	for (int i = 0; i < TAP_KINDS; i++)
		tap_told_init(&taps->told[i], (enum tap_kind)i);
	taps->keylog.told = &taps->told[TAP_KEYLOG];
	taps->content.told = &taps->told[TAP_CONTENT];
	taps->pcapng.told = &taps->told[TAP_PCAPNG];
	tap_writer_init(&taps->writer[TAP_KEYLOG], KEYLOG_QUEUE, keylog_handle, &taps->keylog);
	tap_writer_init(&taps->writer[TAP_CONTENT], CONTENT_QUEUE, content_handle,
			&taps->content);
	tap_writer_init(&taps->writer[TAP_PCAPNG], PCAPNG_QUEUE, pcapng_handle, &taps->pcapng);
	*out = taps;
	return 0;
}

void taps_free(struct taps *taps)
{
	if (!taps)
		return;
	for (int i = 0; i < TAP_KINDS; i++) {
		tap_writer_destroy(&taps->writer[i]);
		tap_told_destroy(&taps->told[i]);
	}
	tap_target_free(taps->keylog.target);
	tap_target_free(taps->content.target);
	tap_target_free(taps->pcapng.target);
	pthread_mutex_destroy(&taps->lock);
	free(taps);
}

/* --- targets --- */

static int refuse(const char *what, const char *path, int err, char *error, size_t error_len)
{
	const char *mend = "";

	if (err == -EPERM)
		mend = ": a file that is there has to be of ksplitd's own user, and 0600";
	else if (err == -EACCES || err == -ENOENT)
		mend = ": the folder has to be there and of the user that ksplitd runs as";
	else if (err == -ELOOP)
		mend = ": symbolic links are not followed";
	snprintf(error, error_len, "taps.%s %.256s: %s%s", what, path, strerrordesc_np(-err), mend);
	return err;
}

/* Content has files of each connection: the folder is looked at. */
static int check_folder(const char *pattern)
{
	char folder[TAP_PATH];

	snprintf(folder, sizeof(folder), "%.*s", (int)content_name_fixed(pattern), pattern);
	return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) ? -errno : 0;
}

static int open_target(enum tap_kind kind, const struct tap_setting *setting,
		       struct tap_target **out, char *error, size_t error_len)
{
	struct tap_target *target = calloc(1, sizeof(*target));
	int err;

	if (!target) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	*target = (struct tap_target){.fd = -1, .most = setting->most, .files = setting->files};
	memcpy(target->path, setting->path, sizeof(target->path));
	err = kind == TAP_CONTENT ? check_folder(setting->path)
				  : private_file_append(setting->path);
	if (err < 0) {
		free(target);
		return refuse(tap_kind_name(kind), setting->path, err, error, error_len);
	}
	if (kind != TAP_CONTENT)
		target->fd = err;
	*out = target;
	return 0;
}

static struct tap_item *new_order(struct tap_target *target)
{
	struct tap_item *order = tap_item_new(TAP_ADOPT, NULL, 0);

	if (order)
		order->object = target;
	return order;
}

/* --- changes --- */

struct taps_change {
	struct taps *taps;
	struct tap_setting setting[TAP_KINDS];
	struct tap_item *order[TAP_KINDS]; /* NULL: it stays as it is */
};

static bool is_same(const struct tap_setting *a, const struct tap_setting *b)
{
	return a->configured == b->configured && !strcmp(a->path, b->path) &&
	       a->connection == b->connection && a->most == b->most && a->files == b->files &&
	       !memcmp(a->side, b->side, sizeof(a->side));
}

static int set_path(struct tap_setting *setting, const char *path)
{
	setting->configured = path;
	return path && snprintf(setting->path, sizeof(setting->path), "%s", path) >=
			       (int)sizeof(setting->path)
		       ? -ENAMETOOLONG
		       : 0;
}

static int read_options(const struct taps_options *options, struct tap_setting *out)
{
	struct tap_setting *content = &out[TAP_CONTENT], *pcapng = &out[TAP_PCAPNG];
	int err = set_path(&out[TAP_KEYLOG], options->keylog);

	if (!err)
		err = set_path(content, options->content);
	if (!err)
		err = set_path(pcapng, options->pcapng);
	if (options->keylog)
		memcpy(out[TAP_KEYLOG].side, options->keylog_side, sizeof(options->keylog_side));
	if (options->content) {
		content->connection = options->content_connection;
		content->most = options->content_total;
	}
	if (options->pcapng) {
		pcapng->connection = options->pcapng_connection;
		pcapng->most = options->pcapng_file;
		pcapng->files = options->pcapng_files;
	}
	return err;
}

static int prepare_one(struct taps_change *change, enum tap_kind kind, char *error,
		       size_t error_len)
{
	static const char *const names[TAP_KINDS] = {"tap-keylog", "tap-content", "tap-pcapng"};
	const struct tap_setting *setting = &change->setting[kind];
	struct tap_target *target = NULL;
	int err = 0;

	if (is_same(&change->taps->setting[kind], setting))
		return 0;
	if (setting->configured)
		err = open_target(kind, setting, &target, error, error_len);
	if (err)
		return err;
	change->order[kind] = new_order(target);
	if (!change->order[kind]) {
		tap_target_free(target);
		err = -ENOMEM;
	}
	if (!err && target)
		err = tap_writer_start(&change->taps->writer[kind], names[kind]);
	if (err)
		snprintf(error, error_len, "taps.%s: %s", tap_kind_name(kind),
			 strerrordesc_np(-err));
	return err;
}

int taps_prepare(struct taps *taps, const struct taps_options *options, struct taps_change **out,
		 char *error, size_t error_len)
{
	struct taps_change *change = calloc(1, sizeof(*change));
	int err = change ? read_options(options, change->setting) : -ENOMEM;

	if (err)
		snprintf(error, error_len, "taps: %s", strerrordesc_np(-err));
	if (change)
		change->taps = taps;
	for (int i = 0; i < TAP_KINDS && !err; i++)
		err = prepare_one(change, (enum tap_kind)i, error, error_len);
	if (err)
		taps_abandon(change);
	else
		*out = change;
	return err;
}

void taps_abandon(struct taps_change *change)
{
	if (!change)
		return;
	for (int i = 0; i < TAP_KINDS; i++) {
		if (change->order[i])
			tap_target_free(change->order[i]->object);
		tap_item_free(change->order[i]);
	}
	free(change);
}

/* Under the lock. */
static void set_on(struct taps *taps, enum tap_kind kind, bool on)
{
	const struct tap_setting *setting = &taps->setting[kind];

	atomic_store(&taps->on[kind], on);
	if (!on)
		atomic_fetch_add(&taps->epoch[kind], 1);
	for (int i = 0; kind == TAP_KEYLOG && i < SIDES; i++)
		atomic_store(&taps->keys[i], on && setting->side[i]);
}

void taps_commit(struct taps_change *change)
{
	struct taps *taps = change->taps;

	pthread_mutex_lock(&taps->lock);
	for (int i = 0; i < TAP_KINDS; i++) {
		if (!change->order[i])
			continue;
		taps->setting[i] = change->setting[i];
		tap_writer_put(&taps->writer[i], change->order[i]);
		set_on(taps, (enum tap_kind)i, taps->setting[i].configured);
	}
	pthread_mutex_unlock(&taps->lock);
	free(change);
}

int taps_switch(struct taps *taps, enum tap_kind kind, bool on, char *error, size_t error_len)
{
	struct tap_target *target = NULL;
	struct tap_item *order;
	int err = 0;

	pthread_mutex_lock(&taps->lock);
	if (!taps->setting[kind].configured) {
		snprintf(error, error_len, "taps.%s is not configured", tap_kind_name(kind));
		err = -ENOENT;
	} else if (on != atomic_load(&taps->on[kind])) {
		if (on)
			err = open_target(kind, &taps->setting[kind], &target, error, error_len);
		order = err ? NULL : new_order(target);
		if (order) {
			tap_writer_put(&taps->writer[kind], order);
			set_on(taps, kind, on);
		} else if (!err) {
			tap_target_free(target);
			snprintf(error, error_len, "out of memory");
			err = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&taps->lock);
	return err;
}

void taps_read(struct taps *taps, struct tap_status out[TAP_KINDS])
{
	pthread_mutex_lock(&taps->lock);
	for (int i = 0; i < TAP_KINDS; i++) {
		tap_told_read(&taps->told[i], &out[i]);
		out[i].configured = taps->setting[i].configured;
		out[i].on = atomic_load(&taps->on[i]);
		memcpy(out[i].path, taps->setting[i].path, sizeof(out[i].path));
	}
	pthread_mutex_unlock(&taps->lock);
}

/* --- what workers ask on their way --- */

bool taps_want_content(const struct taps *taps)
{
	return atomic_load_explicit(&taps->on[TAP_CONTENT], memory_order_relaxed) ||
	       atomic_load_explicit(&taps->on[TAP_PCAPNG], memory_order_relaxed);
}

bool taps_want_keys(const struct taps *taps, enum conn_side side)
{
	return atomic_load_explicit(&taps->keys[side], memory_order_relaxed);
}

void taps_key_line(struct taps *taps, const char *line)
{
	const size_t len = strlen(line) + 1;
	struct tap_item *item = tap_item_new(TAP_DATA, line, len);

	if (item)
		item->bytes[len - 1] = '\n';
	if (!item || !tap_writer_put(&taps->writer[TAP_KEYLOG], item))
		tap_told_count(&taps->told[TAP_KEYLOG], 0, 1);
}
