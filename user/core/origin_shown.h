/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CORE_ORIGIN_SHOWN_H
#define KSPLIT_CORE_ORIGIN_SHOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/conn_info.h"
#include "pki/leaf.h"

/*
 * How a leaf shows a client what was found of the origin's certificate (docs/upstream.md has the
 * table). Sets `untrusted`, `add_sni` and `hide` of a wish, and the weak key where the client can
 * do RSA. `revocation` is what a staple would say to a client that asks for one, NULL for one that
 * does not; it stays where that is what is said. Validity and purposes are the origin's anyway.
 */
void origin_shown(uint32_t faults, enum conn_verify verify, bool client_has_rsa,
		  struct leaf_wish *wish);

#endif
