/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_EXPORT_OBSERVER_JSON_H
#define KSPLIT_EXPORT_OBSERVER_JSON_H

#include <cJSON.h>
#include <stdbool.h>

#include "observe/observer.h"

/* Does anything look at plaintext? `status` NULL: no. */
bool observer_json_on(const struct observer_status *status);

/*
 * How plaintext is sampled, for the members "sampler" of the command "kernel" and "observation" of
 * "summary" (docs/control-protocol.md). `status` NULL: there is no observer. Caller owns the result
 * (cJSON_Delete); NULL: out of memory.
 */
cJSON *observer_json(const struct observer_status *status);
cJSON *observer_json_totals(const struct observer_status *status);

/* The sentence that stands in the place of data when observation is off. */
#define OBSERVER_JSON_OFF "observation is off (sampler off)"

#endif
