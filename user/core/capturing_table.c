// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capturing_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/nft_table.h"

#define NAME_LEN 128

/* 1, 0 or -errno. */
static int is_there(const char *name, char *error, size_t error_len)
{
	struct nft_table *table;
	int err = nft_table_new(name, &table);

	if (err) {
		snprintf(error, error_len, "table %s: %s", name, strerror(-err));
		return err;
	}
	err = nft_table_is_there(table, error, error_len);
	nft_table_free(table);
	return err;
}

int capturing_table_choose(const char *configured, char **out, char *error, size_t error_len)
{
	char name[NAME_LEN];

	for (unsigned int i = 1; i <= CAPTURING_TABLES; i++) {
		int there;

		if (i == 1)
			snprintf(name, sizeof(name), "%s", configured);
		else
			snprintf(name, sizeof(name), "%s_%u", configured, i);
		there = is_there(name, error, error_len);
		if (there < 0)
			return there;
		if (there)
			continue;
		*out = strdup(name);
		return *out ? 0 : -ENOMEM;
	}
	snprintf(error, error_len,
		 "there are tables %s to %s: earlier ones still serve what is open", configured,
		 name);
	return -EBUSY;
}
