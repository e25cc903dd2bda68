// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pulse.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/server.h"

struct pulse {
	const struct server *server;
	uint64_t turns[]; /* of each worker, at the last look that was good */
};

int pulse_new(const struct server *server, struct pulse **out)
{
	struct pulse *pulse =
		calloc(1, sizeof(*pulse) + server->workers_len * sizeof(pulse->turns[0]));

	*out = pulse;
	if (!pulse)
		return -ENOMEM;
	pulse->server = server;
	return 0;
}

static bool has_moved(const struct pulse *pulse, size_t i)
{
	const struct worker *worker = &pulse->server->workers[i];

	return atomic_load(&worker->ended) || worker_turns(worker) != pulse->turns[i];
}

bool pulse_look(struct pulse *pulse)
{
	const struct server *server = pulse->server;
	bool all = true;

	for (size_t i = 0; i < server->workers_len && all; i++)
		all = has_moved(pulse, i);
	for (size_t i = 0; i < server->workers_len; i++) {
		if (all)
			pulse->turns[i] = worker_turns(&server->workers[i]);
		worker_wake(&server->workers[i]);
	}
	return all;
}

void pulse_free(struct pulse *pulse)
{
	free(pulse);
}
