// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/key_groups.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define LIST_MAX 1024
#define NAME_MAX_LEN 64

static int nid_of(const char *name)
{
	int nid = EC_curve_nist2nid(name);

	if (nid == NID_undef)
		nid = OBJ_txt2nid(name);
	/* RFC 8446's name for it is the one that OpenSSL's objects do not have. */
	if (nid == NID_undef && !strcasecmp(name, "secp256r1"))
		nid = NID_X9_62_prime256v1;
	return nid;
}

int key_groups_used(SSL *ssl)
{
	return SSL_version(ssl) == TLS1_3_VERSION ? (int)SSL_get_negotiated_group(ssl) : 0;
}

/* Some groups have several names, and some have no NID (ML-KEM). */
static bool is_group(const char *entry, size_t len, const char *name, int nid)
{
	char copy[NAME_MAX_LEN];

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, entry, len);
	copy[len] = '\0';
	return !strcasecmp(copy, name) || nid_of(copy) == nid;
}

/*
 * `name`, and behind it what else the list has: OpenSSL 3.0 refuses one that names a group twice.
 * False: it is not to be changed.
 */
static bool reorder(const char *list, const char *name, int nid, char out[LIST_MAX])
{
	size_t used = strlen(name);
	bool found = false;

	/* The name may be longer than that of the list. */
	if (strchr(list, '*') || used + strlen(list) + 2 > LIST_MAX)
		return false;
	memcpy(out, name, used + 1);
	for (const char *entry = list; *entry;) {
		size_t len = strcspn(entry, ":");

		if (is_group(entry, len, name, nid)) {
			if (entry == list)
				return false;
			found = true;
		} else if (len) {
			out[used++] = ':';
			memcpy(out + used, entry, len);
			used += len;
			out[used] = '\0';
		}
		entry += len + (entry[len] == ':');
	}
	return found;
}

void key_groups_put_first(SSL *ssl, const char *list, int group)
{
	const char *name = group ? SSL_group_to_name(ssl, group) : NULL;
	char ordered[LIST_MAX];

	/* Where OpenSSL does not take it all is as it was. */
	if (name && reorder(list, name, group, ordered))
		SSL_set1_groups_list(ssl, ordered);
	ERR_clear_error();
}
