// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/side_policy.h"

#define MAX_SECURITY_LEVEL 5

static int read_version(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	uint16_t *version = out;
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (!strcmp(text, "1.2"))
		*version = TLS1_2_VERSION;
	else if (!strcmp(text, "1.3"))
		*version = TLS1_3_VERSION;
	else
		return config_reader_fail(reader, "\"%s\": is \"%.80s\", expected \"1.2\" or \"1.3\"",
					  key, text);
	return 0;
}

static int read_level(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	struct tls_policy *policy = out;
	uint32_t level;
	int rc = config_reader_number(reader, value, key, 0, MAX_SECURITY_LEVEL, &level);

	policy->has_security_level = !rc;
	policy->security_level = rc ? 0 : (uint8_t)level;
	return rc;
}

static int read_old_versions(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	struct tls_policy *policy = out;
	const char *text;
	int rc = config_reader_text(reader, value, key, &text);

	if (rc)
		return rc;
	if (strcmp(text, "pass") != 0 && strcmp(text, "refuse") != 0)
		return config_reader_fail(
			reader, "\"%s\": is \"%.80s\", expected \"pass\" or \"refuse\"", key, text);
	policy->has_old_versions = true;
	policy->refuse_old_versions = !strcmp(text, "refuse");
	return 0;
}

#define LIST(name_)                                                                                \
	{                                                                                          \
		.name = #name_, .read = config_reader_string, .offset = offsetof(struct tls_policy, name_)    \
	}
#define VERSION(name_)                                                                             \
	{                                                                                          \
		.name = #name_, .read = read_version, .offset = offsetof(struct tls_policy, name_) \
	}

static const struct config_field fields[] = {
	VERSION(min_version),
	VERSION(max_version),
	LIST(ciphers),
	LIST(ciphersuites),
	LIST(groups),
	LIST(signature_algorithms),
	{.name = "security_level", .read = read_level},
	{.name = "old_versions", .read = read_old_versions},
	{.name = NULL},
};

/* Does OpenSSL take it? */
static int try_policy(struct config_reader *reader, const char *key,
		      const struct tls_policy *policy)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const char *what = "";
	int rc = ctx ? tls_policy_apply(ctx, policy, &what) : -ENOMEM;

	SSL_CTX_free(ctx);
	if (!rc)
		return 0;
	if (rc == -ENOMEM)
		return config_reader_fail(reader, "\"%s\": out of memory", key);
	return config_reader_fail(reader,
				  "\"%s.%s\": this OpenSSL knows none of it, or not all; expected a "
				  "list as openssl-ciphers(1) or SSL_CTX_set1_groups_list(3) has it",
				  key, what);
}

int config_tls_read_policy(struct config_reader *reader, const cJSON *value, const char *key,
			   void *out)
{
	struct tls_policy *policy = out;
	int rc;

	tls_policy_free(policy);
	rc = config_reader_object(reader, value, key, fields, policy);
	if (rc)
		return rc;
	if (policy->min_version && policy->max_version &&
	    policy->min_version > policy->max_version)
		return config_reader_fail(
			reader, "\"%s\": min_version is above max_version: nothing is left", key);
	return try_policy(reader, key, policy);
}

static const struct config_field sides[] = {
	{.name = "client",
	 .read = config_tls_read_policy,
	 .offset = offsetof(struct config, tls_client)},
	{.name = "upstream",
	 .read = config_tls_read_policy,
	 .offset = offsetof(struct config, tls_upstream)},
	{.name = NULL},
};

int config_tls_read(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	(void)out;
	return config_reader_object(reader, value, key, sides, reader->config);
}
