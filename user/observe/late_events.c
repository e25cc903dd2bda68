// SPDX-License-Identifier: GPL-2.0-or-later
#include "observe/late_events.h"

#include <stdlib.h>
#include <string.h>

struct late_event {
	STAILQ_ENTRY(late_event) link;
	struct ksplit_head_event event; /* it has no bytes */
};

bool late_events_keep(struct late_events *events, const struct ksplit_head_event *event)
{
	struct late_event *late;

	if (event->len ||
	    (event->sampler != KSPLIT_SAMPLER_FENTRY && event->sampler != KSPLIT_SAMPLER_SK_MSG))
		return false;
	late = malloc(sizeof(*late));
	if (!late)
		return false;
	memcpy(&late->event, event, sizeof(*event));
	STAILQ_INSERT_TAIL(events, late, link);
	return true;
}

const struct ksplit_head_event *late_events_first(const struct late_events *events)
{
	const struct late_event *first = STAILQ_FIRST(events);

	return first ? &first->event : NULL;
}

void late_events_drop(struct late_events *events)
{
	struct late_event *first = STAILQ_FIRST(events);

	STAILQ_REMOVE_HEAD(events, link);
	free(first);
}
