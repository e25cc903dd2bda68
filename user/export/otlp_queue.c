// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/otlp_queue.h"

static bool has_room(const struct otlp_queue *queue, const struct otlp_export *export)
{
	return queue->len < queue->max_len && queue->bytes + export->bytes <= queue->max_bytes;
}

/* The newest is kept however large it is. */
size_t otlp_queue_add(struct otlp_queue *queue, struct otlp_export *export)
{
	struct otlp_export **last;
	size_t dropped = 0;

	while (queue->first && !has_room(queue, export)) {
		otlp_export_free(otlp_queue_take(queue));
		dropped++;
	}
	for (last = &queue->first; *last; last = &(*last)->next)
		;
	export->next = NULL;
	*last = export;
	queue->len++;
	queue->bytes += export->bytes;
	return dropped;
}

struct otlp_export *otlp_queue_take(struct otlp_queue *queue)
{
	struct otlp_export *export = queue->first;

	if (!export)
		return NULL;
	queue->first = export->next;
	queue->len--;
	queue->bytes -= export->bytes;
	export->next = NULL;
	return export;
}

bool otlp_queue_put_back(struct otlp_queue *queue, struct otlp_export *export)
{
	if (queue->first && !has_room(queue, export)) {
		otlp_export_free(export);
		return false;
	}
	export->next = queue->first;
	queue->first = export;
	queue->len++;
	queue->bytes += export->bytes;
	return true;
}

size_t otlp_queue_clear(struct otlp_queue *queue)
{
	size_t n = 0;

	while (queue->first) {
		otlp_export_free(otlp_queue_take(queue));
		n++;
	}
	return n;
}
