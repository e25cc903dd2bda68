// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "tap/taps_inner.h"

/* One connection in one tap. */
struct view {
	void *object;		/* the writer's, once `close` is queued; NULL: not there */
	struct tap_item *close; /* made beforehand: it must not fail */
	unsigned int epoch;
	uint64_t left[FLOWS];	/* of what is kept of a direction */
	bool cut[FLOWS];	/* something is missing, so nothing follows */
};

struct tap_conn {
	struct taps *taps;
	struct view view[TAP_KINDS]; /* of TAP_CONTENT and TAP_PCAPNG */
};

static const enum tap_kind kinds[] = {TAP_CONTENT, TAP_PCAPNG};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void *new_object(enum tap_kind kind, const struct tap_setting *setting,
			const struct tap_about *about)
{
	return kind == TAP_CONTENT ? (void *)content_conn_new(setting->path, about)
				   : (void *)pcapng_conn_new(about);
}

static bool view_begin(struct taps *taps, enum tap_kind kind, const struct tap_about *about,
		       struct view *view)
{
	const struct tap_setting *setting = &taps->setting[kind];

	pthread_mutex_lock(&taps->lock);
	if (atomic_load(&taps->on[kind])) {
		view->epoch = atomic_load(&taps->epoch[kind]);
		view->left[FLOW_TO_ORIGIN] = view->left[FLOW_TO_CLIENT] = setting->connection;
		view->close = tap_item_new(TAP_CLOSE, NULL, 0);
		view->object = view->close ? new_object(kind, setting, about) : NULL;
		if (!view->object)
			tap_told_truncated(&taps->told[kind], 0);
	}
	pthread_mutex_unlock(&taps->lock);
	if (!view->object) {
		tap_item_free(view->close);
		return false;
	}
	tap_told_connection(&taps->told[kind]);
	return true;
}

struct tap_conn *tap_conn_new(struct taps *taps, const struct tap_about *about)
{
	struct tap_conn *tap = calloc(1, sizeof(*tap));
	bool any = false;

	if (!tap)
		return NULL;
	tap->taps = taps;
	for (size_t i = 0; i < KINDS; i++)
		any |= about->wanted[kinds[i]] &&
		       view_begin(taps, kinds[i], about, &tap->view[kinds[i]]);
	if (any)
		return tap;
	free(tap);
	return NULL;
}

static void cut(struct view *view, enum conn_flow flow, size_t missing)
{
	view->cut[flow] = true;
	view->close->missing[flow] += missing;
}

/* How many of the next bytes this tap wants; the others are counted. */
static size_t wanted(const struct tap_conn *tap, enum tap_kind kind, struct view *view,
		     enum conn_flow flow, size_t len)
{
	size_t most = len;

	if (!view->object)
		return 0;
	if (view->cut[flow] || view->epoch != atomic_load_explicit(&tap->taps->epoch[kind],
								   memory_order_relaxed))
		most = 0;
	else if (most > view->left[flow])
		most = (size_t)view->left[flow];
	view->left[flow] -= most;
	if (most < len)
		cut(view, flow, len - most);
	return most;
}

static bool put(struct tap_writer *writer, void *object, enum conn_flow flow, const void *data,
		size_t len)
{
	struct tap_item *item = tap_item_new(TAP_DATA, data, len);

	if (!item)
		return false;
	item->object = object;
	item->flow = flow;
	return tap_writer_put(writer, item);
}

void tap_conn_data(struct tap_conn *tap, enum conn_flow flow, const void *data, size_t len)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct view *view = &tap->view[kinds[i]];
		size_t most = wanted(tap, kinds[i], view, flow, len);

		if (most && !put(&tap->taps->writer[kinds[i]], view->object, flow, data, most))
			cut(view, flow, most);
	}
}

void tap_conn_spliced(struct tap_conn *tap, enum conn_flow flow, int pipe_fd, size_t len)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct view *view = &tap->view[kinds[i]];
		size_t most = wanted(tap, kinds[i], view, flow, len);

		if (most && !tap_writer_tee(&tap->taps->writer[kinds[i]], view->object, flow,
					    pipe_fd, most))
			cut(view, flow, most);
	}
}

void tap_conn_end(struct tap_conn *tap)
{
	if (!tap)
		return;
	for (size_t i = 0; i < KINDS; i++) {
		struct view *view = &tap->view[kinds[i]];

		if (!view->object)
			continue;
		view->close->object = view->object;
		tap_item_stamp(view->close);
		tap_writer_put(&tap->taps->writer[kinds[i]], view->close);
	}
	free(tap);
}
