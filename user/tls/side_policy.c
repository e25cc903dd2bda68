// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/side_policy.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "tls/openssl_compat.h"

/* Names of all suites that OpenSSL has, with colons: 3.5 has some 7 KiB of them. */
#define LIST_MAX 16384

/*
 * What the kernel can do comes first, the cheapest of it at the head; behind it everything else
 * that the system's policy allows, so that nobody is refused for the kernel's sake.
 */
static int rank_of(const SSL_CIPHER *cipher)
{
	int key_exchange = SSL_CIPHER_get_kx_nid(cipher);

	if (key_exchange != NID_kx_ecdhe && key_exchange != NID_kx_any)
		return 3;
	switch (SSL_CIPHER_get_cipher_nid(cipher)) {
	case NID_aes_128_gcm: return 0;
	case NID_aes_256_gcm: return 1;
	case NID_chacha20_poly1305: return 2;
	default: return 3;
	}
}

static bool is_tls13(const SSL_CIPHER *cipher)
{
	return SSL_CIPHER_get_kx_nid(cipher) == NID_kx_any;
}

/* The names of a context's suites, by rank. False: there is no room for them. */
static bool list_suites(const SSL_CTX *ctx, bool tls13, char list[LIST_MAX])
{
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
	size_t used = 0;

	list[0] = '\0';
	for (int rank = 0; rank <= 3; rank++)
		for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
			const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
			const char *name = SSL_CIPHER_get_name(cipher);
			size_t len = strlen(name);

			if (is_tls13(cipher) != tls13 || rank_of(cipher) != rank)
				continue;
			if (used + len + 2 > LIST_MAX)
				return false;
			if (used)
				list[used++] = ':';
			memcpy(list + used, name, len + 1);
			used += len;
		}
	return true;
}

/* Of both kinds of suites; a policy's own lists go as they are. */
static int apply_suites(SSL_CTX *ctx, const struct tls_policy *policy, const char **what)
{
	char *list = malloc(LIST_MAX);
	int rc = list ? 0 : -ENOMEM;

	*what = "ciphers";
	if (!rc && policy && policy->ciphers)
		rc = SSL_CTX_set_cipher_list(ctx, policy->ciphers) ? 0 : -EINVAL;
	else if (!rc)
		rc = list_suites(ctx, false, list) && (!*list || SSL_CTX_set_cipher_list(ctx, list))
			     ? 0
			     : -EINVAL;
	if (!rc) {
		*what = "ciphersuites";
		if (policy && policy->ciphersuites)
			rc = SSL_CTX_set_ciphersuites(ctx, policy->ciphersuites) ? 0 : -EINVAL;
		else
			rc = list_suites(ctx, true, list) && SSL_CTX_set_ciphersuites(ctx, list)
				     ? 0
				     : -EINVAL;
	}
	free(list);
	return rc;
}

/* The lowest: what the policy says, else the system's where that is above TLS 1.2. */
static int apply_versions(SSL_CTX *ctx, const struct tls_policy *policy, const char **what)
{
	long system = SSL_CTX_get_min_proto_version(ctx);
	int min = policy ? policy->min_version : 0;

	*what = "min_version";
	if (!min)
		min = system > TLS1_2_VERSION ? (int)system : TLS1_2_VERSION;
	if (!SSL_CTX_set_min_proto_version(ctx, min))
		return -EINVAL;
	if (!policy || !policy->max_version)
		return 0;
	*what = "max_version";
	return SSL_CTX_set_max_proto_version(ctx, policy->max_version) ? 0 : -EINVAL;
}

const char *tls_policy_groups(const struct tls_policy *policy)
{
	return policy && policy->groups ? policy->groups : TLS_GROUPS;
}

int tls_policy_apply(SSL_CTX *ctx, const struct tls_policy *policy, const char **what)
{
	int rc;

	if (policy && policy->has_security_level)
		SSL_CTX_set_security_level(ctx, policy->security_level);
	rc = apply_versions(ctx, policy, what);
	if (!rc)
		rc = apply_suites(ctx, policy, what);
	if (!rc) {
		*what = "groups";
		if (!SSL_CTX_set1_groups_list(ctx, tls_policy_groups(policy)))
			rc = -EINVAL;
	}
	if (!rc && policy && policy->signature_algorithms) {
		*what = "signature_algorithms";
		if (!SSL_CTX_set1_sigalgs_list(ctx, policy->signature_algorithms))
			rc = -EINVAL;
	}
	ERR_clear_error();
	return rc;
}

struct tls_policy tls_policy_merge(const struct tls_policy *own, const struct tls_policy *base)
{
	struct tls_policy merged = *own;

	if (!merged.min_version)
		merged.min_version = base->min_version;
	if (!merged.max_version)
		merged.max_version = base->max_version;
	if (!merged.ciphers)
		merged.ciphers = base->ciphers;
	if (!merged.ciphersuites)
		merged.ciphersuites = base->ciphersuites;
	if (!merged.groups)
		merged.groups = base->groups;
	if (!merged.signature_algorithms)
		merged.signature_algorithms = base->signature_algorithms;
	if (!merged.has_security_level) {
		merged.has_security_level = base->has_security_level;
		merged.security_level = base->security_level;
	}
	if (!merged.has_old_versions) {
		merged.has_old_versions = base->has_old_versions;
		merged.refuse_old_versions = base->refuse_old_versions;
	}
	return merged;
}

void tls_policy_free(struct tls_policy *policy)
{
	free(policy->ciphers);
	free(policy->ciphersuites);
	free(policy->groups);
	free(policy->signature_algorithms);
	*policy = (struct tls_policy){0};
}
