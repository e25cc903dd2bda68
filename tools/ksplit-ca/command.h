/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_COMMAND_H
#define KSPLIT_CA_COMMAND_H

#include "options.h"

/* What each command does (ksplit-ca(8)); an enum ca_exit, what went wrong is said. */
int command_init(const struct options *options);
int command_install(const struct options *options);
int command_remove(const struct options *options);
int command_show(const struct options *options);
int command_export(const struct options *options);

#endif
