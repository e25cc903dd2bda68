/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_OBSERVATION_H
#define KSPLIT_CORE_OBSERVATION_H

#include <stddef.h>

struct server;

/*
 * Set up what observes, as configured: the observer with its samplers. After a fork to the
 * background (BPF pins carry the process's number), before the workers start. 0 or -errno with one
 * line in `error`.
 */
int observation_start(struct server *server, char *error, size_t error_len);

/* ... and what exports it: the metrics port, OTLP. The same. */
int observation_export(struct server *server, char *error, size_t error_len);

/* End the metrics port and OTLP; before anything that they read is freed. */
void observation_stop_exports(struct server *server);

#endif
