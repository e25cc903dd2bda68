// SPDX-License-Identifier: GPL-2.0-or-later
/* Which identity is shown for which name, and what is refused. */
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

#define MONTH (30 * DAY)

static void setup_log(void)
{
	log_setup(LOG_LEVEL_ERROR, false);
}

/* What `name` gets: the CN of its first identity, "" for none. */
static const char *shown(const struct identity_set *set, const char *name)
{
	static char cn[64];
	const struct identity_choice *choice = identity_set_find(set, name);

	cn[0] = '\0';
	if (choice)
		X509_NAME_get_text_by_NID(X509_get_subject_name(choice->items[0]->cert),
					  NID_commonName, cn, sizeof(cn));
	return cn;
}

static struct identity_source source_of(struct identity_rig *rig, const char *file)
{
	char *path = rig_path(rig, file);

	return (struct identity_source){.cert = path, .key = path};
}

static struct identity_set *load(const struct identity_source *sources, size_t len)
{
	struct identity_set *set = NULL;
	char error[512] = "";

	if (identity_set_load(sources, len, NULL, &set, error, sizeof(error)))
		fail_msg("%s", error);
	return set;
}

static void test_names(void **state)
{
	struct identity_rig rig;
	struct identity_source sources[3];
	struct identity_set *set;
	char named[] = "named.example", *names[] = {named};

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "shop", "P-256", "DNS:Shop.example, DNS:*.cloud.example", MONTH));
	X509_free(rig_issue(&rig, "common.example", "P-256", NULL, MONTH));
	X509_free(rig_issue(&rig, "other", "P-256", "DNS:other.example, DNS:shop.example", MONTH));
	sources[0] = source_of(&rig, "shop.pem");
	sources[1] = source_of(&rig, "common.example.pem");
	sources[2] = source_of(&rig, "other.pem");
	set = load(sources, 3);
	assert_string_equal(shown(set, "shop.example"), "shop"); /* the first that has it */
	assert_string_equal(shown(set, "a.cloud.example"), "shop");
	assert_string_equal(shown(set, "a.b.cloud.example"), "");
	assert_string_equal(shown(set, "cloud.example"), "");
	assert_string_equal(shown(set, ".cloud.example"), "");
	assert_string_equal(shown(set, "common.example"), "common.example");
	assert_string_equal(shown(set, "other.example"), "other");
	assert_string_equal(shown(set, "nobody.example"), "");
	assert_string_equal(shown(set, ""), "");
	assert_string_equal(shown(set, "localhost"), "");
	identity_set_put(set);
	/*
	 * Names of the configuration take the place of the certificate's; the default has the rest.
	 */
	sources[0].names = names;
	sources[0].names_len = 1;
	sources[1].is_default = true;
	set = load(sources, 2);
	assert_string_equal(shown(set, "named.example"), "shop");
	assert_string_equal(shown(set, "shop.example"), "common.example");
	assert_string_equal(shown(set, ""), "common.example");
	identity_set_put(set);
	rig_close(&rig);
}

static void test_one_of_each_kind(void **state)
{
	static const char *const kinds[] = {"P-256", "RSA-2048", "Ed25519", "P-384"};
	struct identity_rig rig;
	struct identity_source sources[4];
	const struct identity_choice *choice;
	struct identity_set *set;
	uint8_t id[FINGERPRINT_LEN];

	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < 4; i++) {
		char name[16], file[24];

		snprintf(name, sizeof(name), "kind%zu", i);
		snprintf(file, sizeof(file), "%s.pem", name);
		X509_free(rig_issue(&rig, name, kinds[i], "DNS:shop.example", MONTH));
		sources[i] = source_of(&rig, file);
	}
	set = load(sources, 4);
	choice = identity_set_find(set, "shop.example");
	assert_int_equal(choice->len, 3); /* the second EC key is left out */
	assert_true(choice->rsa && choice->ecdsa);
	memcpy(id, choice->id, sizeof(id));
	identity_set_put(set);
	set = load(sources, 1);
	choice = identity_set_find(set, "shop.example");
	assert_true(choice->ecdsa && !choice->rsa);
	assert_memory_not_equal(choice->id, id, sizeof(id));
	identity_set_put(set);
	set = load(sources, 4);
	assert_memory_equal(identity_set_find(set, "shop.example")->id, id, sizeof(id));
	identity_set_put(set);
	rig_close(&rig);
}

static void refuse(const struct identity_source *sources, size_t len, int err, const char *words)
{
	struct identity_set *set = NULL;
	char error[512] = "";

	assert_int_equal(identity_set_load(sources, len, NULL, &set, error, sizeof(error)), err);
	if (!strstr(error, words))
		fail_msg("\"%s\" says nothing of \"%s\"", error, words);
}

static void test_refusals(void **state)
{
	struct identity_rig rig;
	struct identity_source one, two, pair[2];

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "one", "P-256", "DNS:one.example", MONTH));
	X509_free(rig_issue(&rig, "two", "P-256", "DNS:two.example", MONTH));
	X509_free(rig_issue(&rig, "no name", "P-256", NULL, MONTH));
	X509_free(rig_issue(&rig, "weak", "RSA-1024", "DNS:weak.example", MONTH));
	one = source_of(&rig, "one.pem");
	two = source_of(&rig, "two.pem");
	two.key = one.key;
	refuse(&two, 1, -EINVAL, "does not belong to the certificate");
	two.cert = rig_path(&rig, "missing.pem");
	refuse(&two, 1, -ENOENT, "missing.pem: No such file");
	two = source_of(&rig, "no name.pem");
	refuse(&two, 1, -EINVAL, "no host name in the certificate");
	two = source_of(&rig, "weak.pem");
	refuse(&two, 1, -EINVAL, "OpenSSL refuses to serve this certificate");
	two.key = rig_path(&rig, "junk.pem");
	rig_write(two.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 58);
	two.cert = one.cert;
	refuse(&two, 1, -EINVAL, "junk.pem: the private key in it is damaged");
	two.cert = two.key;
	refuse(&two, 1, -EINVAL, "junk.pem: no certificate in it");
	pair[0] = one;
	pair[1] = source_of(&rig, "two.pem");
	pair[0].is_default = pair[1].is_default = true;
	refuse(pair, 2, -EINVAL, "two.pem: there is another default");
	rig_close(&rig);
}

static void test_expired_certificate_is_shown(void **state)
{
	struct identity_rig rig;
	struct identity_source source;
	struct identity_set *set;

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "old", "P-256", "DNS:old.example", -DAY));
	source = source_of(&rig, "old.pem");
	set = load(&source, 1);
	assert_string_equal(shown(set, "old.example"), "old");
	identity_set_put(set);
	rig_close(&rig);
}

/* References keep a set that nobody would find any more. */
static void test_references(void **state)
{
	struct identity_rig rig;
	struct identity_source source;
	struct identity_set *set, *again;

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "one", "P-256", "DNS:one.example", MONTH));
	source = source_of(&rig, "one.pem");
	set = load(&source, 1);
	again = identity_set_get(set);
	identity_set_put(set);
	assert_string_equal(shown(again, "one.example"), "one");
	assert_int_equal(identity_set_len(again), 1);
	assert_int_equal(sk_X509_num(identity_set_at(again, 0)->chain), 1);
	identity_set_put(again);
	identity_set_put(NULL);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_one_of_each_kind),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_expired_certificate_is_shown),
		cmocka_unit_test(test_references),
	};

	setup_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
