// SPDX-License-Identifier: GPL-2.0-or-later
#include "pki/identity_set.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"

struct entry {
	const char *name; /* an identity's */
	struct identity_choice choice;
};

struct identity_set {
	_Atomic uint32_t references;
	struct identity **items; /* owned */
	size_t len;
	struct entry *entries; /* owned; sorted by name when complete */
	size_t entries_len;
	struct identity_choice fallback; /* the default; len 0: none */
};

/* --- choices --- */

/* False: there is one of this kind already. */
static bool choice_add(struct identity_choice *choice, const struct identity *identity)
{
	for (size_t i = 0; i < choice->len; i++)
		if (choice->items[i]->kind == identity->kind)
			return choice->items[i] == identity;
	choice->items[choice->len++] = identity;
	choice->rsa |= identity->kind == IDENTITY_RSA;
	choice->ecdsa |= identity->kind != IDENTITY_RSA; /* RFC 8422 5.10: EdDSA, too */
	return true;
}

static int choice_seal(struct identity_choice *choice)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (size_t i = 0; ok && i < choice->len; i++)
		ok = EVP_DigestUpdate(ctx, choice->items[i]->fingerprint, FINGERPRINT_LEN);
	ok = ok && EVP_DigestFinal_ex(ctx, choice->id, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static struct entry *entry_find(const struct identity_set *set, const char *name)
{
	const struct entry key = {.name = name};

	if (!set->entries_len)
		return NULL;
	return bsearch(&key, set->entries, set->entries_len, sizeof(key), compare);
}

/* --- building --- */

/* One entry for each name of each identity, then those of one name become one. */
static int entries_make(struct identity_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < set->len; i++)
		count += set->items[i]->names_len;
	set->entries = calloc(count ? count : 1, sizeof(*set->entries));
	if (!set->entries)
		return -ENOMEM;
	for (size_t i = 0; i < set->len; i++)
		for (size_t k = 0; k < set->items[i]->names_len; k++)
			set->entries[set->entries_len++].name = set->items[i]->names[k];
	qsort(set->entries, set->entries_len, sizeof(*set->entries), compare);
	count = 0;
	for (size_t i = 0; i < set->entries_len; i++)
		if (!count || compare(&set->entries[count - 1], &set->entries[i]))
			set->entries[count++] = set->entries[i];
	set->entries_len = count;
	return 0;
}

static int defaults_add(struct identity_set *set, const struct identity_source *sources,
			char *error, size_t error_len)
{
	for (size_t i = 0; i < set->len; i++) {
		if (!set->items[i]->is_default || choice_add(&set->fallback, set->items[i]))
			continue;
		snprintf(error, error_len,
			 "%s: there is another default with a key of the same kind; expected one",
			 sources[i].cert);
		return -EINVAL;
	}
	return 0;
}

static int index_make(struct identity_set *set, const struct identity_source *sources, char *error,
		      size_t error_len)
{
	int err = defaults_add(set, sources, error, error_len);

	if (err)
		return err;
	snprintf(error, error_len, "out of memory");
	err = entries_make(set);
	for (size_t i = 0; !err && i < set->len; i++)
		for (size_t k = 0; k < set->items[i]->names_len; k++) {
			const char *name = set->items[i]->names[k];

			if (!choice_add(&entry_find(set, name)->choice, set->items[i]))
				log_warn("%s: another identity before it is for %s, with a key of "
					 "the same kind; that one is shown",
					 sources[i].cert, name);
		}
	for (size_t i = 0; !err && i < set->entries_len; i++)
		err = choice_seal(&set->entries[i].choice);
	return err ? err : choice_seal(&set->fallback);
}

/* The old response is better than none. */
static int staple_keep(struct identity *identity, const struct identity_set *old)
{
	for (size_t i = 0; old && i < old->len; i++) {
		const struct ocsp_staple *staple = &old->items[i]->staple;

		if (!memcmp(identity->fingerprint, old->items[i]->fingerprint, FINGERPRINT_LEN) &&
		    ocsp_staple_is_fresh(staple, time(NULL)))
			return ocsp_staple_copy(&identity->staple, staple);
	}
	return 0;
}

static int items_load(struct identity_set *set, const struct identity_source *sources, size_t len,
		      const struct identity_set *old, char *error, size_t error_len)
{
	set->items = calloc(len ? len : 1, sizeof(struct identity *));
	if (!set->items)
		return -ENOMEM;
	for (; set->len < len; set->len++) {
		int err =
			identity_load(&sources[set->len], &set->items[set->len], error, error_len);

		if (err)
			return err;
		if (set->items[set->len]->staple_error[0] &&
		    staple_keep(set->items[set->len], old)) {
			set->len++;
			return -ENOMEM;
		}
	}
	return 0;
}

int identity_set_load(const struct identity_source *sources, size_t len,
		      const struct identity_set *old, struct identity_set **out, char *error,
		      size_t error_len)
{
	struct identity_set *set = calloc(1, sizeof(*set));
	int err;

	snprintf(error, error_len, "out of memory");
	if (!set)
		return -ENOMEM;
	atomic_init(&set->references, 1);
	err = items_load(set, sources, len, old, error, error_len);
	if (!err)
		err = index_make(set, sources, error, error_len);
	if (err) {
		identity_set_put(set);
		return err;
	}
	for (size_t i = 0; i < len; i++)
		identity_warn(set->items[i], &sources[i]);
	*out = set;
	return 0;
}

/* --- use --- */

struct identity_set *identity_set_get(struct identity_set *set)
{
	atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
	return set;
}

void identity_set_put(struct identity_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->len; i++)
		identity_free(set->items[i]);
	free(set->items);
	free(set->entries);
	free(set);
}

const struct identity_choice *identity_set_find(const struct identity_set *set, const char *name)
{
	const struct entry *entry = *name ? entry_find(set, name) : NULL;
	const char *dot = strchr(name, '.');
	char wildcard[258];

	if (!entry && dot && dot != name) {
		int len = snprintf(wildcard, sizeof(wildcard), "*%s", dot);

		if (len > 0 && (size_t)len < sizeof(wildcard))
			entry = entry_find(set, wildcard);
	}
	if (entry)
		return &entry->choice;
	return set->fallback.len ? &set->fallback : NULL;
}

size_t identity_set_len(const struct identity_set *set)
{
	return set->len;
}

const struct identity *identity_set_at(const struct identity_set *set, size_t index)
{
	return set->items[index];
}
