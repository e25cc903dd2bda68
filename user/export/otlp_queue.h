/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OTLP_QUEUE_H
#define KSPLIT_EXPORT_OTLP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/metrics_source.h"

/* Exports that wait to be sent, oldest first. One thread. */

/* One moment's requests, as text. */
struct otlp_export {
	struct otlp_export *next;
	size_t bytes;
	size_t sent, len; /* requests: accepted already; all */
	char *requests[]; /* owned, of cJSON */
};

struct otlp_queue {
	struct otlp_export *first;
	size_t len, bytes;
	size_t max_len, max_bytes;
};

/* Room for the texts of an export, NULL: no memory; and free it with its texts (NULL allowed). */
struct otlp_export *otlp_export_new(size_t requests);
void otlp_export_free(struct otlp_export *export);

/* All requests of this moment's figures (`host`: this machine's name). Caller owns it; NULL: no
 * memory. */
struct otlp_export *otlp_export_take(const struct metrics_source *source, const char *host);

/* Make room by dropping the oldest, then add as the newest; takes it over. How many were dropped.
 */
size_t otlp_queue_add(struct otlp_queue *queue, struct otlp_export *export);

/* Take the oldest out; NULL: empty. */
struct otlp_export *otlp_queue_take(struct otlp_queue *queue);

/* Put the one that was taken back as the oldest, if there is room; false: it was freed. */
bool otlp_queue_put_back(struct otlp_queue *queue, struct otlp_export *export);

/* Free all. How many. */
size_t otlp_queue_clear(struct otlp_queue *queue);

#endif
