// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/name_constraints.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

struct name_constraints {
	int len;
	NAME_CONSTRAINTS *item[];
};

/* Those of one certificate are added, when it has any. */
static int add(struct name_constraints *to, const X509 *cert)
{
	int critical;
	NAME_CONSTRAINTS *own = X509_get_ext_d2i(cert, NID_name_constraints, &critical, NULL);

	if (own)
		to->item[to->len++] = own;
	else if (critical != -1) /* there, but unreadable or twice */
		return -EINVAL;
	return 0;
}

int name_constraints_read(X509 *cert, STACK_OF(X509) * above, struct name_constraints **out)
{
	const int above_len = above ? sk_X509_num(above) : 0;
	struct name_constraints *all =
		calloc(1, sizeof(*all) + sizeof(all->item[0]) * (size_t)(above_len + 1));
	int err;

	*out = NULL;
	if (!all)
		return -ENOMEM;
	err = add(all, cert);
	for (int i = 0; !err && i < above_len; i++)
		err = add(all, sk_X509_value(above, i));
	if (err || !all->len) {
		name_constraints_free(all);
		return err;
	}
	*out = all;
	return 0;
}

static bool has_dns_name(const X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
		found = sk_GENERAL_NAME_value(names, i)->type == GEN_DNS;
	GENERAL_NAMES_free(names);
	return found;
}

int name_constraints_check(const struct name_constraints *constraints, X509 *leaf)
{
	int result = X509_V_OK;
	bool by_common_name;

	if (!constraints)
		return X509_V_OK;
	/*
	 * NAME_CONSTRAINTS_check looks at the names as they were when the extensions were first
	 * read
	 */
	X509_check_purpose(leaf, -1, 0);
	by_common_name = !has_dns_name(leaf);
	for (int i = 0; result == X509_V_OK && i < constraints->len; i++) {
		result = NAME_CONSTRAINTS_check(leaf, constraints->item[i]);
		if (result == X509_V_OK && by_common_name)
			result = NAME_CONSTRAINTS_check_CN(leaf, constraints->item[i]);
	}
	return result;
}

void name_constraints_free(struct name_constraints *constraints)
{
	if (!constraints)
		return;
	for (int i = 0; i < constraints->len; i++)
		NAME_CONSTRAINTS_free(constraints->item[i]);
	free(constraints);
}
