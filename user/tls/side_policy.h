/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TLS_SIDE_POLICY_H
#define KSPLIT_TLS_SIDE_POLICY_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What one side may negotiate (docs/tls-policy.md). Whatever is not set is as the system's OpenSSL
 * configuration has it (config(5), "system_default"), with the cheapest for kernel TLS first and
 * never below TLS 1.2. Strings are OpenSSL's own lists.
 */
struct tls_policy {
	uint16_t min_version, max_version; /* 0x0303, 0x0304; 0: not set */
	char *ciphers;                     /* TLS 1.2, openssl-ciphers(1) */
	char *ciphersuites;                /* TLS 1.3 */
	char *groups;
	char *signature_algorithms;
	bool has_security_level;
	uint8_t security_level; /* SSL_CTX_set_security_level(3) */
	/* Peers that have no version in common with us: refused, not passed. */
	bool has_old_versions, refuse_old_versions;
};

/*
 * Apply to a context just made (policy NULL: the defaults alone). 0, -ENOMEM, or -EINVAL with the
 * name of the setting that OpenSSL does not take in *what (static).
 */
int tls_policy_apply(SSL_CTX *ctx, const struct tls_policy *policy, const char **what);

/* The list of key exchange groups that holds (policy NULL: the default). Not to be freed. */
const char *tls_policy_groups(const struct tls_policy *policy);

/*
 * `own`, and what it leaves out from `base`. The result points into both and is not to be freed.
 */
struct tls_policy tls_policy_merge(const struct tls_policy *own, const struct tls_policy *base);

/* Free the strings; the struct is then empty. */
void tls_policy_free(struct tls_policy *policy);

#endif
