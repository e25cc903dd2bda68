/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_TICKET_KEYS_H
#define KSPLIT_TLS_TICKET_KEYS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define TICKET_KEYS_TEXT 448 /* room that ticket_keys_export needs */

/*
 * What protects the session tickets that clients get: AES-256-CBC and HMAC-SHA-256 (RFC 5077 4),
 * one pair of keys for all workers and all generations of the configuration, so that a ticket is
 * good wherever a client comes back. After a period another pair is made; the one before opens
 * tickets for one period more, and is wiped then. Any thread.
 */
struct ticket_keys;

/* Keys of random bytes. `period_s` at least 1. The caller's reference is
 * in *out. 0, -ENOMEM or -EIO. */
int ticket_keys_new(uint32_t period_s, int64_t now_s, struct ticket_keys **out);

/* One more reference; give one back: the last one wipes them. NULL allowed for put. */
struct ticket_keys *ticket_keys_get(struct ticket_keys *keys);
void ticket_keys_put(struct ticket_keys *keys);

/* Another period from now on. */
void ticket_keys_set_period(struct ticket_keys *keys, uint32_t period_s);

/*
 * Change and wipe what is due; also done whenever keys are used. `now_s`: CLOCK_BOOTTIME, or any
 * clock that is not set. Returns seconds until something is due again, at least 1.
 */
uint32_t ticket_keys_run(struct ticket_keys *keys, int64_t now_s);

/* Let the server contexts' tickets be protected by these, which must outlive them. 0 or -EIO. */
int ticket_keys_attach(struct ticket_keys *keys, SSL_CTX *ctx);

/*
 * All of them as text, for the ksplitd that takes over: secret, wipe it. -ENOSPC when `len` is less
 * than TICKET_KEYS_TEXT; else 0.
 */
int ticket_keys_export(struct ticket_keys *keys, int64_t now_s, char *text, size_t len);

/* Take those of another process in place of these. 0, or -EINVAL: that is none; nothing changed. */
int ticket_keys_import(struct ticket_keys *keys, int64_t now_s, const char *text);

#endif
