/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_OWN_ADDRESS_H
#define KSPLIT_CORE_OWN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/config.h"

/* Does a connection to this address come back to one of these listeners of ours? */
bool own_address_is_one(const struct config_listener *listeners, size_t len,
			const struct sockaddr *address);

#endif
