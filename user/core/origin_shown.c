// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/origin_shown.h"

#include <ksplit/origin_fault.h>

/* What no leaf of a trusted CA could have. */
#define NOT_TO_BE_TRUSTED                                                                          \
	(ORIGIN_UNTRUSTED | ORIGIN_SELF_SIGNED | ORIGIN_WEAK_SIGNATURE | ORIGIN_PIN)

/* A client that asks for no staple would not see that it is revoked. */
static void show_revoked(uint32_t faults, struct leaf_wish *wish)
{
	if (faults & ORIGIN_REVOKED && !wish->revocation)
		wish->untrusted = true;
	if (!(faults & ORIGIN_REVOKED) || wish->untrusted)
		wish->revocation = NULL;
}

void origin_shown(uint32_t faults, enum conn_verify verify, bool client_has_rsa,
		  struct leaf_wish *wish)
{
	wish->hide = verify == CONN_VERIFY_OFF;
	wish->untrusted = faults & NOT_TO_BE_TRUSTED;
	wish->add_sni = !(faults & ORIGIN_NAME);
	if (faults & ORIGIN_WEAK_KEY && client_has_rsa)
		wish->key = LEAF_KEY_WEAK_RSA;
	else if (faults & ORIGIN_WEAK_KEY)
		wish->untrusted = true;
	show_revoked(faults, wish);
}
