// SPDX-License-Identifier: GPL-2.0-or-later
/* Pinned keys: as rules name them, and which certificates have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "cert_maker.h"
#include "config_read.h"
#include "core/upstream.h"
#include "tls/origin_verify.h"

/* The example of RFC 8410 10.1, and its pin as openssl pkey | openssl dgst | base64 has it. */
static const uint8_t spki[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21,
			       0x00, 0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41,
			       0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50, 0x86, 0xaa, 0x30,
			       0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1};

#define SPKI_PIN  "sha256/oekVYFTgT6yJmunydRMs3Ael28TqLCrTof/G4NJTaB8="
#define COUNT_PIN "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* 0, 1, 2 ... 31 */
#define ODD_PIN   "sha256/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=" /* fb ff bf fb ff bf ... */

static void what_is_one(void **state)
{
	static const uint8_t odd[] = {0xfb, 0xff, 0xbf};
	struct tls_pin pin;

	(void)state;
	assert_true(upstream_pin_parse(COUNT_PIN, &pin));
	for (unsigned int i = 0; i < sizeof(pin.sha256); i++)
		assert_int_equal(pin.sha256[i], i);
	/* As curl has it; and a slash that is Base64's. */
	assert_true(upstream_pin_parse("sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", &pin));
	assert_int_equal(pin.sha256[31], 31);
	assert_true(upstream_pin_parse("sha256//AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", &pin));
	assert_int_equal(pin.sha256[0], 0xfc);
	assert_true(upstream_pin_parse(ODD_PIN, &pin));
	for (unsigned int i = 0; i < sizeof(pin.sha256); i++)
		assert_int_equal(pin.sha256[i], odd[i % 3]);
}

#define ZEROS_40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void what_is_none(void **state)
{
	static const char *const none[] = {
		"",
		"sha256",
		"sha256/",
		"sha256/=",
		/* prefixes */
		ZEROS_40 "AAA=",
		"/" ZEROS_40 "AAA=",
		"sha1/" ZEROS_40 "AAA=",
		"SHA256/" ZEROS_40 "AAA=",
		"sha256:" ZEROS_40 "AAA=",
		" sha256/" ZEROS_40 "AAA=",
		/* lengths */
		"sha256/" ZEROS_40,
		"sha256/" ZEROS_40 "AAA",
		"sha256/" ZEROS_40 "AA=",
		"sha256/" ZEROS_40 "AAAA=",
		"sha256/" ZEROS_40 "AAA=\n",
		"sha256/" ZEROS_40 "AAAAAAA=",
		/* padding */
		"sha256/" ZEROS_40 "AAAA",
		"sha256/" ZEROS_40 "AA==",
		"sha256/" ZEROS_40 "A===",
		"sha256/" ZEROS_40 "====",
		"sha256/=AAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA=",
		"sha256/AA=="
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA=",
		"sha256/" ZEROS_40 "A=A=",
		/* bits behind the last byte (RFC 4648 3.5) */
		"sha256/" ZEROS_40 "AAB=",
		"sha256/" ZEROS_40 "AAC=",
		"sha256/" ZEROS_40 "AAD=",
		/* what is in no alphabet, or in another */
		"sha256/-AAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA=",
		"sha256/" ZEROS_40 "A_A=",
		"sha256/ AAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA=",
		"sha256/    " ZEROS_40 "AAA=",
		"sha256/AAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA=",
		"sha256/" ZEROS_40 "AA\t=",
		"sha256/" ZEROS_40 "A\xc3\xa4=",
		"sha256/" ZEROS_40 "AA%=",
	};
	struct tls_pin pin, untouched;

	(void)state;
	memset(&pin, 0x55, sizeof(pin));
	untouched = pin;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (upstream_pin_parse(none[i], &pin))
			fail_msg("\"%s\" was taken for a pin", none[i]);
	assert_memory_equal(&pin, &untouched, sizeof(pin));
}

/* Every byte in each of the places: only those of the alphabet, and the rest stays what it was. */
static void every_byte_in_every_place(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	const size_t prefix = strlen("sha256/"), last = strlen(COUNT_PIN) - 1;

	(void)state;
	for (size_t at = prefix; at < last - 1; at++)
		for (unsigned int byte = 1; byte < 256; byte++) {
			char text[] = COUNT_PIN;
			struct tls_pin pin;
			bool good = strchr(alphabet, (int)byte) != NULL;

			text[at] = (char)byte;
			if (upstream_pin_parse(text, &pin) != good)
				fail_msg("0x%02x at %zu", byte, at);
		}
}

static void which_certificates_have_one(void **state)
{
	const uint8_t *at = spki;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, sizeof(spki));
	EVP_PKEY *other_key = make_test_key("P-256");
	X509 *other = make_test_cert(&(struct cert_spec){.cn = "other", .key = other_key});
	X509 *cert = X509_new();
	struct tls_pin pins[2];

	(void)state;
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(upstream_pin_parse(COUNT_PIN, &pins[0]));
	assert_true(upstream_pin_parse(SPKI_PIN, &pins[1]));
	assert_true(origin_pin_matches(pins, 2, cert));
	assert_true(origin_pin_matches(pins + 1, 1, cert));
	assert_false(origin_pin_matches(pins, 1, cert));
	assert_false(origin_pin_matches(NULL, 0, cert));
	assert_false(origin_pin_matches(pins, 2, other));
	X509_free(cert);
	X509_free(other);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(key);
}

static void a_rule_has_one_or_a_list(void **state)
{
	static const char text[] =
		"{\"upstream\": {\"rules\": [{\"sni\": \"a\", \"pins\": \"" COUNT_PIN "\"},"
		"{\"sni\": \"b\", \"pins\": [\"" SPKI_PIN "\", \"" COUNT_PIN "\"]},"
		"{\"sni\": \"c\"}]}}";
	struct upstream_profile one, two;
	struct config config;
	char error[512];

	(void)state;
	if (config_read_text(&config, text, error, sizeof(error)))
		fail_msg("%s", error);
	one = upstream_profile_of(&config, 1);
	two = upstream_profile_of(&config, 2);
	assert_int_equal(one.pins_len, 1);
	assert_int_equal(one.pins[0].sha256[31], 31);
	assert_int_equal(two.pins_len, 2);
	assert_int_equal(two.pins[0].sha256[0], 0xa1);
	assert_memory_equal(&two.pins[1], &one.pins[0], sizeof(struct tls_pin));
	assert_int_equal(upstream_profile_of(&config, 0).pins_len, 0);
	assert_int_equal(upstream_profile_of(&config, 3).pins_len, 0);
	config_free(&config);
}

static void assert_refused(const char *pins, const char *expected)
{
	char text[512], error[512];
	struct config config;

	snprintf(text, sizeof(text),
		 "{\"upstream\": {\"rules\": [{\"sni\": \"a\", \"pins\": %s}]}}", pins);
	assert_int_equal(config_read_text(&config, text, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
	config_free(&config);
}

#define EXPECTED "expected \"sha256/\" and the Base64 of a public key's SHA-256, 44 characters"

static void rules_that_are_refused(void **state)
{
	(void)state;
	assert_refused("\"sha256/AAAA\"",
		       "1: \"upstream.rules[0].pins\": is \"sha256/AAAA\", " EXPECTED);
	assert_refused("[\"" COUNT_PIN "\", \"x\"]",
		       "1: \"upstream.rules[0].pins[1]\": is \"x\", " EXPECTED);
	assert_refused("7", "1: \"upstream.rules[0].pins\": is a number, expected text in quotes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_one),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(every_byte_in_every_place),
		cmocka_unit_test(which_certificates_have_one),
		cmocka_unit_test(a_rule_has_one_or_a_list),
		cmocka_unit_test(rules_that_are_refused),
	};

	return cmocka_run_group_tests_name("upstream_pins", tests, NULL, NULL);
}
