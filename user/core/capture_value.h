/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CAPTURE_VALUE_H
#define KSPLIT_CORE_CAPTURE_VALUE_H

#include "core/config_reader.h"

/*
 * Readers of the lists of the "capture" section: each takes a list of at least one, checks what it
 * holds and adds it to `out`, a list of struct capture_match.
 */

config_reader_fn capture_value_read_ports;      /* struct capture_ports: 443 */
config_reader_fn capture_value_read_networks;   /* struct capture_networks: "192.0.2.0/24", "::1" */
config_reader_fn capture_value_read_users;      /* struct capture_users: "www-data", 33 */
config_reader_fn capture_value_read_cgroups;    /* struct capture_names: "user.slice", "/a/b" */
config_reader_fn capture_value_read_interfaces; /* struct capture_names: "eth0" */
config_reader_fn capture_value_read_units;      /* struct capture_names: "app.service" */

/* Add a port unless it is there, in order. 0 or -ENOMEM. */
int capture_value_add_port(struct capture_ports *ports, uint16_t port);

#endif
