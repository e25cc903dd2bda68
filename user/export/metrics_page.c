// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/metrics_page.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HASH_MAX 64 /* SHA-256 in base64 is 44 characters */

/* The base64 of the hash of what stands between two tags, as browsers hash it. */
static bool hash_between(const char *open, const char *close, char out[HASH_MAX])
{
	const char *end = metrics_page + metrics_page_len;
	const char *start = memmem(metrics_page, metrics_page_len, open, strlen(open));
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	const char *stop;

	if (!start)
		return false;
	start += strlen(open);
	stop = memmem(start, (size_t)(end - start), close, strlen(close));
	if (!stop || EVP_Digest(start, (size_t)(stop - start), hash, &len, EVP_sha256(), NULL) != 1)
		return false;
	EVP_EncodeBlock((unsigned char *)out, hash, (int)len);
	return true;
}

char *metrics_page_policy(void)
{
	char script[HASH_MAX], style[HASH_MAX], *policy = NULL;

	if (!hash_between("<script>", "</script>", script) ||
	    !hash_between("<style>", "</style>", style))
		return NULL;
	if (asprintf(&policy,
		     "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
		     "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		     "frame-ancestors 'none'",
		     script, style) < 0)
		return NULL;
	return policy;
}
