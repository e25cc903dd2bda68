// SPDX-License-Identifier: GPL-2.0-or-later
/* Client certificates of rules: read once, kept while their files are the same, or not seen. */
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
#include "core/client_identity.h"
#include "core/config.h"

#define MONTH (30 * DAY)

/* A rule with an identity, and one without. */
static void configure(struct config *config, struct upstream_rule rules[2], char *cert, char *key)
{
	memset(config, 0, sizeof(*config));
	memset(rules, 0, 2 * sizeof(*rules));
	rules[0].identity_cert = cert;
	rules[0].identity_key = key;
	config->upstream.rules = rules;
	config->upstream.len = 2;
}

static void test_files_are_read(void **state)
{
	struct identity_rig rig;
	struct upstream_rule rules[2];
	struct config config;
	struct client_identity *identities;
	char error[512] = "", *file;
	X509 *cert;

	(void)state;
	rig_open(&rig);
	cert = rig_issue(&rig, "client", "P-256", NULL, MONTH);
	file = rig_path(&rig, "client.pem");
	configure(&config, rules, file, file);
	assert_int_equal(client_identities_load(&config, NULL, NULL, &identities, error,
						sizeof(error)), 0);
	assert_int_equal(X509_cmp(identities[0].cert, cert), 0);
	assert_non_null(identities[0].key);
	assert_int_equal(sk_X509_num(identities[0].chain), 1);
	assert_null(identities[1].cert);
	client_identities_free(identities, 2);
	X509_free(cert);
	rig_close(&rig);
}

static void test_what_is_there_outlives_its_files(void **state)
{
	struct identity_rig rig;
	struct upstream_rule rules[2];
	struct config config;
	struct client_identity *first, *second;
	char error[512] = "", *file;

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "client", "P-256", NULL, MONTH));
	file = rig_path(&rig, "client.pem");
	configure(&config, rules, file, file);
	assert_int_equal(client_identities_load(&config, NULL, NULL, &first, error,
						sizeof(error)), 0);
	unlink(file);
	assert_int_equal(client_identities_load(&config, &config, first, &second, error,
						sizeof(error)), 0);
	assert_ptr_equal(second[0].cert, first[0].cert);
	client_identities_free(first, 2);
	assert_int_equal(X509_check_private_key(second[0].cert, second[0].key), 1);
	client_identities_free(second, 2);
	rig_close(&rig);
}

static void test_another_file_is_read_anew(void **state)
{
	struct identity_rig rig;
	struct upstream_rule rules[2];
	struct config config;
	struct client_identity *first, *second;
	char error[512] = "", *file, *other;

	(void)state;
	rig_open(&rig);
	X509_free(rig_issue(&rig, "client", "P-256", NULL, MONTH));
	X509_free(rig_issue(&rig, "other", "RSA-2048", NULL, MONTH));
	file = rig_path(&rig, "client.pem");
	other = rig_path(&rig, "other.pem");
	configure(&config, rules, file, file);
	assert_int_equal(client_identities_load(&config, NULL, NULL, &first, error,
						sizeof(error)), 0);
	assert_int_equal(rename(other, file), 0);
	assert_int_equal(client_identities_load(&config, &config, first, &second, error,
						sizeof(error)), 0);
	assert_int_not_equal(X509_cmp(second[0].cert, first[0].cert), 0);
	client_identities_free(first, 2);
	client_identities_free(second, 2);
	rig_close(&rig);
}

static void test_what_cannot_be_read_is_told(void **state)
{
	struct upstream_rule rules[2];
	struct config config;
	struct client_identity *identities;
	char error[512] = "", file[] = "/nowhere/client.pem";

	(void)state;
	configure(&config, rules, file, file);
	assert_int_equal(client_identities_load(&config, NULL, NULL, &identities, error,
						sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, file));
	client_identities_free(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_are_read),
		cmocka_unit_test(test_what_is_there_outlives_its_files),
		cmocka_unit_test(test_another_file_is_read_anew),
		cmocka_unit_test(test_what_cannot_be_read_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
