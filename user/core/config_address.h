/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_CONFIG_ADDRESS_H
#define KSPLIT_CORE_CONFIG_ADDRESS_H

#include <stddef.h>

#include "core/config.h"

/*
 * config_parse_listen and config_parse_destination, with the reason of a refusal: *why is a static
 * text that follows `is "...", `.
 */
int config_address_parse_listen(const char *text, struct config_listener *listener,
				const char **why);
int config_address_parse_destination(const char *text, struct config_listener *listener,
				     const char **why);

/* "192.0.2.1:443", "[2001:db8::1]:443" of a listener's own address. Returns buf. */
const char *config_address_print(const struct config_listener *listener, char *buf, size_t len);

/* Do both listen on the same address and port? Port 0 never is the same. */
bool config_address_same(const struct config_listener *a, const struct config_listener *b);

/* Is the numeric destination of `from` the very address on which `to` listens? */
bool config_address_leads_to(const struct config_listener *from, const struct config_listener *to);

#endif
