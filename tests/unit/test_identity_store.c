// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that change while identities are in use. */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cert_maker.h"
#include "identity_rig.h"
#include "core/log.h"
#include "pki/identity_store.h"

#define MONTH (30 * DAY)

struct store_rig {
	struct identity_rig files;
	struct identity_source source;
	struct identity_store *store;
	X509 *cert;
};

static void open_store(struct store_rig *rig, const struct rig_staple *staple)
{
	char error[512] = "";

	rig_open(&rig->files);
	rig->cert = rig_issue(&rig->files, "one", "P-256", "DNS:one.example", MONTH);
	rig->source = (struct identity_source){.cert = rig_path(&rig->files, "one.pem"),
					       .key = rig_path(&rig->files, "one.pem")};
	if (staple)
		rig->source.ocsp = rig_respond(&rig->files, rig->cert, staple);
	if (identity_store_new(&rig->source, 1, &rig->store, error, sizeof(error)))
		fail_msg("%s", error);
}

static void close_store(struct store_rig *rig)
{
	identity_store_free(rig->store);
	X509_free(rig->cert);
	rig_close(&rig->files);
}

static bool shows(struct identity_store *store, const X509 *cert)
{
	struct identity_set *set = identity_store_get(store);
	bool same = !X509_cmp(identity_set_at(set, 0)->cert, cert);

	identity_set_put(set);
	return same;
}

static bool has_staple(struct identity_store *store)
{
	struct identity_set *set = identity_store_get(store);
	bool has = identity_set_at(set, 0)->staple.der != NULL;

	identity_set_put(set);
	return has;
}

static void test_change_is_loaded_once_it_has_settled(void **state)
{
	struct identity_store_stats stats;
	struct identity_set *old;
	struct store_rig rig;
	X509 *before;

	(void)state;
	open_store(&rig, NULL);
	assert_int_equal(identity_store_poll(rig.store), 0);
	old = identity_store_get(rig.store);
	before = rig.cert;
	rig.cert = rig_issue(&rig.files, "one", "P-256", "DNS:one.example", MONTH);
	assert_int_equal(identity_store_poll(rig.store), 0); /* it may still be written to */
	assert_true(shows(rig.store, before));
	assert_int_equal(identity_store_poll(rig.store), 1);
	assert_true(shows(rig.store, rig.cert));
	assert_int_equal(identity_store_poll(rig.store), 0);
	/* Who began with the old one ends with it. */
	assert_int_equal(X509_cmp(identity_set_at(old, 0)->cert, before), 0);
	identity_set_put(old);
	identity_store_read_stats(rig.store, &stats);
	assert_int_equal(stats.reloads, 1);
	assert_int_equal(stats.failed, 0);
	X509_free(before);
	close_store(&rig);
}

static void test_bad_file_changes_nothing(void **state)
{
	struct identity_store_stats stats;
	struct store_rig rig;

	(void)state;
	open_store(&rig, NULL);
	rig_write(rig.source.cert, "junk", 4);
	assert_int_equal(identity_store_poll(rig.store), 0);
	assert_int_equal(identity_store_poll(rig.store), -EINVAL);
	assert_int_equal(identity_store_poll(rig.store), 0); /* told once */
	assert_true(shows(rig.store, rig.cert));
	unlink(rig.source.cert);
	assert_int_equal(identity_store_poll(rig.store), 0);
	assert_int_equal(identity_store_poll(rig.store), -ENOENT);
	assert_true(shows(rig.store, rig.cert));
	X509_free(rig.cert);
	rig.cert = rig_issue(&rig.files, "one", "P-256", "DNS:one.example", MONTH);
	assert_int_equal(identity_store_poll(rig.store), 0);
	assert_int_equal(identity_store_poll(rig.store), 1);
	assert_true(shows(rig.store, rig.cert));
	identity_store_read_stats(rig.store, &stats);
	assert_int_equal(stats.failed, 2);
	close_store(&rig);
}

static const struct rig_staple good = {V_OCSP_CERTSTATUS_GOOD, -60, DAY, NULL};

/* What is wrong with a response: then there is no staple, and the identity is good all the same. */
static void test_staples(void **state)
{
	EVP_PKEY *stranger = make_test_key("P-256");
	const struct {
		struct rig_staple say;
		bool shown;
	} cases[] = {
		{good, true},
		{{V_OCSP_CERTSTATUS_GOOD, -60, 0, NULL}, true},
		{{V_OCSP_CERTSTATUS_REVOKED, -60, DAY, NULL}, false},
		{{V_OCSP_CERTSTATUS_UNKNOWN, -60, DAY, NULL}, false},
		{{V_OCSP_CERTSTATUS_GOOD, -2 * DAY, -DAY, NULL}, false},
		{{V_OCSP_CERTSTATUS_GOOD, DAY, 2 * DAY, NULL}, false},
		{{V_OCSP_CERTSTATUS_GOOD, -60, DAY, stranger}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_rig rig;

		open_store(&rig, &cases[i].say);
		if (has_staple(rig.store) != cases[i].shown)
			fail_msg("case %zu: %s", i, cases[i].shown ? "not shown" : "shown");
		close_store(&rig);
	}
	EVP_PKEY_free(stranger);
}

static void test_good_staple_outlives_a_bad_one(void **state)
{
	struct identity_set *set;
	struct store_rig rig;
	time_t now = time(NULL);

	(void)state;
	open_store(&rig, &good);
	rig_write(rig.source.ocsp, "junk", 4);
	assert_int_equal(identity_store_poll(rig.store), 0);
	assert_int_equal(identity_store_poll(rig.store), 1);
	assert_true(has_staple(rig.store));
	set = identity_store_get(rig.store);
	assert_true(ocsp_staple_is_fresh(&identity_set_at(set, 0)->staple, now));
	assert_true(ocsp_staple_is_fresh(&identity_set_at(set, 0)->staple, now + DAY));
	assert_false(ocsp_staple_is_fresh(&identity_set_at(set, 0)->staple, now + DAY + 400));
	identity_set_put(set);
	/* Not so with another certificate: the old response is not about it. */
	X509_free(rig.cert);
	rig.cert = rig_issue(&rig.files, "one", "P-256", "DNS:one.example", MONTH);
	assert_int_equal(identity_store_poll(rig.store), 0);
	assert_int_equal(identity_store_poll(rig.store), 1);
	assert_false(has_staple(rig.store));
	close_store(&rig);
}

/*
 * Every prefix of a good response, and every byte of it changed: refused or shown, never a crash.
 */
static void test_hostile_responses(void **state)
{
	static uint8_t der[4096], changed[4096];
	struct ocsp_staple staple = {0};
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct store_rig rig;
	char error[256];
	FILE *file;
	size_t len;

	(void)state;
	open_store(&rig, &good);
	sk_X509_push(chain, rig.files.ca);
	file = fopen(rig.source.ocsp, "r");
	len = fread(der, 1, sizeof(der), file);
	fclose(file);
	for (size_t i = 0; i < len; i++) {
		rig_write(rig.source.ocsp, der, i);
		assert_true(ocsp_staple_load(rig.source.ocsp, rig.cert, chain, &staple, error,
					     sizeof(error)) < 0);
		memcpy(changed, der, len);
		changed[i] ^= 0x55;
		rig_write(rig.source.ocsp, changed, len);
		if (!ocsp_staple_load(rig.source.ocsp, rig.cert, chain, &staple, error,
				      sizeof(error)))
			ocsp_staple_free(&staple);
	}
	sk_X509_free(chain);
	close_store(&rig);
}

/* Another store in its place: nothing is read that has not changed, and all else is. */
static void test_one_follows_another(void **state)
{
	struct identity_store *next = NULL;
	struct identity_set *was, *is;
	struct identity_source other;
	char error[512] = "";
	struct store_rig rig;
	X509 *cert;

	(void)state;
	open_store(&rig, NULL);
	assert_int_equal(identity_store_follow(&rig.source, 1, rig.store, &next, error,
					       sizeof(error)), 0);
	was = identity_store_get(rig.store);
	is = identity_store_get(next);
	assert_ptr_equal(is, was);
	identity_set_put(was);
	identity_set_put(is);
	identity_store_free(next);
	cert = rig_issue(&rig.files, "one", "P-256", "DNS:one.example", MONTH);
	other = rig.source;
	other.is_default = true;
	assert_int_equal(identity_store_follow(&other, 1, rig.store, &next, error, sizeof(error)),
			 0);
	assert_true(shows(next, cert));
	assert_true(shows(rig.store, rig.cert));
	identity_store_free(next);
	X509_free(cert);
	close_store(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change_is_loaded_once_it_has_settled),
		cmocka_unit_test(test_bad_file_changes_nothing),
		cmocka_unit_test(test_staples),
		cmocka_unit_test(test_good_staple_outlives_a_bad_one),
		cmocka_unit_test(test_hostile_responses),
		cmocka_unit_test(test_one_follows_another),
	};

	log_setup(LOG_LEVEL_ERROR, true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
