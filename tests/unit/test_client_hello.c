// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "hello_maker.h"
#include "tls/client_hello.h"

static struct hello_bytes message, wire;

static void make(const struct hello_recipe *recipe)
{
	hello_make_message(&message, recipe, NULL);
	hello_make_wire(&wire, &message, 16384);
}

/* Parse a copy that ends where the bytes end, so that a sanitizer sees a read beyond. */
static int parse_exact(const uint8_t *from, size_t len, struct client_hello *out, size_t *need)
{
	uint8_t *copy = malloc(len ? len : 1);
	uint8_t *end = copy + (len ? 0 : 1); /* no byte at all may be read then */
	int err;

	assert_non_null(copy);
	memcpy(copy, from, len);
	*need = 0;
	err = client_hello_parse(len ? copy : end, len, out, need);
	free(copy);
	return err;
}

static int parse_wire(struct client_hello *out)
{
	size_t need;

	return parse_exact(wire.at, wire.len, out, &need);
}

static int parse_recipe(const struct hello_recipe *recipe, struct client_hello *out)
{
	make(recipe);
	return parse_wire(out);
}

/* The same hello, the number of its records aside. */
static void expect_same(const struct client_hello *a, const struct client_hello *b)
{
	assert_string_equal(a->sni, b->sni);
	assert_int_equal(a->has_sni, b->has_sni);
	assert_int_equal(a->offers_tls12, b->offers_tls12);
	assert_int_equal(a->offers_tls13, b->offers_tls13);
	assert_int_equal(a->early_data, b->early_data);
	assert_int_equal(a->alpn_len, b->alpn_len);
	assert_memory_equal(a->alpn, b->alpn, sizeof(a->alpn));
	assert_int_equal(a->ciphers_len, b->ciphers_len);
	assert_memory_equal(a->ciphers, b->ciphers, sizeof(a->ciphers));
}

/*
 * Every step-th prefix asks for more, never for more than there will be, and what it asks for is
 * the least that changes anything.
 */
static void expect_prefixes(size_t step)
{
	struct client_hello hello;
	size_t asked = 1;
	size_t need;

	for (size_t len = 0; len < wire.len; len += step) {
		assert_int_equal(parse_exact(wire.at, len, &hello, &need), 0);
		assert_true(need > len);
		assert_true(need <= wire.len);
		if (len < asked)
			assert_int_equal(need, asked);
		else
			assert_true(need > asked || len == 0);
		asked = need;
	}
	assert_int_equal(parse_wire(&hello), 1);
	assert_int_equal(hello.wire_len, wire.len);
}

static const struct hello_recipe rich = {
	.sni = "www.example.org",
	.alpn = "h2,http/1.1",
	.versions = hello_versions,
	.key_share = 38,
	.early_data = true,
	.grease = true,
	.psk_last = true,
};

static void test_fields(void **state)
{
	static const uint8_t alpn[] = "\2h2\10http/1.1";
	struct client_hello hello;

	(void)state;
	assert_int_equal(parse_recipe(&rich, &hello), 1);
	assert_true(hello.has_sni);
	assert_string_equal(hello.sni, "www.example.org");
	assert_int_equal(hello.alpn_len, sizeof(alpn) - 1);
	assert_memory_equal(hello.alpn, alpn, sizeof(alpn) - 1);
	assert_true(hello.offers_tls12);
	assert_true(hello.offers_tls13);
	assert_true(hello.early_data);
	assert_int_equal(hello.ciphers_len, 3); /* neither GREASE nor SCSV */
	assert_memory_equal(hello.ciphers, hello_ciphers, 6);
	assert_int_equal(hello.wire_len, wire.len);
}

static void test_no_extensions(void **state)
{
	const struct hello_recipe bare = {.no_extensions = true};
	const struct hello_recipe empty = {0};
	struct client_hello hello;

	(void)state;
	assert_int_equal(parse_recipe(&bare, &hello), 1);
	assert_false(hello.has_sni);
	assert_string_equal(hello.sni, "");
	assert_int_equal(hello.alpn_len, 0);
	assert_true(hello.offers_tls12);
	assert_false(hello.offers_tls13);
	assert_false(hello.early_data);
	expect_prefixes(1);
	assert_int_equal(parse_recipe(&empty, &hello), 1); /* the list is there, and empty */
}

/* An OCSP response is asked for, or something that nobody knows, or nothing at all. */
static void test_status_request(void **state)
{
	static const struct {
		const char *bytes;
		int result;
		bool asked;
	} cases[] = {
		{"\1xxxx", 1, true},   {"\1", 1, true},  {"\2xxxx", 1, false},
		{"", -EBADMSG, false}, {NULL, 1, false},
	};
	struct client_hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct hello_recipe recipe = {.sni = "a.test",
						    .status_request = cases[i].bytes};

		assert_int_equal(parse_recipe(&recipe, &hello), cases[i].result);
		if (cases[i].result == 1)
			assert_int_equal(hello.status_request, cases[i].asked);
	}
}

static void test_versions(void **state)
{
	static const uint16_t only13[] = {0x0304, 0}, only12[] = {0x0303, 0}, old[] = {0x0302, 0};
	struct hello_recipe recipe = {0};
	struct client_hello hello;

	(void)state;
	recipe.versions = only13;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(hello.offers_tls13 && !hello.offers_tls12);
	recipe.versions = only12;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(!hello.offers_tls13 && hello.offers_tls12);
	recipe.versions = old;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(!hello.offers_tls13 && !hello.offers_tls12);
	recipe.versions = NULL;
	recipe.legacy_version = 0x0301;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(!hello.offers_tls13 && !hello.offers_tls12);
	recipe.legacy_version = 0x0304; /* means 1.2: the extension alone offers 1.3 */
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(!hello.offers_tls13 && hello.offers_tls12);
}

static void test_byte_at_a_time(void **state)
{
	(void)state;
	make(&rich);
	expect_prefixes(1);
}

/* Two records, cut anywhere; then records of every small size. */
static void test_split_anywhere(void **state)
{
	struct client_hello whole, hello;

	(void)state;
	assert_int_equal(parse_recipe(&rich, &whole), 1);
	for (size_t cut = 1; cut < message.len; cut++) {
		wire.len = 0;
		hello_put_record(&wire, message.at, cut);
		hello_put_record(&wire, message.at + cut, message.len - cut);
		assert_int_equal(parse_wire(&hello), 1);
		assert_int_equal(hello.wire_len, wire.len);
		expect_same(&hello, &whole);
		expect_prefixes(7);
	}
	for (size_t size = 1; size < 20; size++) {
		hello_make_wire(&wire, &message, size);
		assert_int_equal(parse_wire(&hello), 1);
		expect_same(&hello, &whole);
		expect_prefixes(size < 6 ? 1 : 3);
	}
}

/* Early data and whatever else comes behind the hello is not looked at. */
static void test_bytes_behind(void **state)
{
	struct client_hello hello;
	size_t hello_len, need;

	(void)state;
	make(&rich);
	hello_len = wire.len;
	hello_put(&wire, "\27\3\3\0\1x", 6);
	for (size_t len = hello_len; len <= wire.len; len++) {
		assert_int_equal(parse_exact(wire.at, len, &hello, &need), 1);
		assert_int_equal(hello.wire_len, hello_len);
	}
}

/* A post-quantum share, and hellos that need several full records, up to the limit. */
static void test_long(void **state)
{
	static const size_t sizes[] = {1216, 16000, 16384, 20000, 40000, 65000};
	struct hello_recipe recipe = rich;
	struct client_hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		recipe.key_share = sizes[i];
		assert_int_equal(parse_recipe(&recipe, &hello), 1);
		assert_string_equal(hello.sni, rich.sni);
		assert_true(hello.early_data);
		expect_prefixes(sizes[i] < 2000 ? 1 : 331);
		hello_make_wire(&wire, &message, 1000);
		assert_int_equal(parse_wire(&hello), 1);
		assert_string_equal(hello.sni, rich.sni);
	}
}

static void test_too_long(void **state)
{
	static const uint8_t huge[] = {22, 3, 1, 0, 200, 1, 1, 2, 0};
	struct hello_recipe recipe = rich;
	struct client_hello hello;
	size_t need;

	(void)state;
	/* Told by the handshake header, before the bytes are there. */
	assert_int_equal(parse_exact(huge, sizeof(huge), &hello, &need), -EMSGSIZE);
	/* Short enough as a message, but not in records of one byte. */
	recipe.key_share = 15000;
	make(&recipe);
	hello_make_wire(&wire, &message, 1);
	assert_int_equal(parse_wire(&hello), -EMSGSIZE);
	recipe = rich;
	recipe.cipher_padding = CLIENT_HELLO_MAX_CIPHERS - 3;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_int_equal(hello.ciphers_len, CLIENT_HELLO_MAX_CIPHERS);
	recipe.cipher_padding++;
	assert_int_equal(parse_recipe(&recipe, &hello), -EMSGSIZE);
}

static void test_alpn_limits(void **state)
{
	struct hello_recipe recipe = rich;
	struct client_hello hello;
	char names[1100];

	(void)state;
	/* Names of 31 bytes: 16 of them fill the 512 bytes, 17 do not fit. */
	memset(names, 'a', sizeof(names));
	for (size_t i = 31; i < sizeof(names); i += 32)
		names[i] = ',';
	names[16 * 32 - 1] = '\0';
	recipe.alpn = names;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_int_equal(hello.alpn_len, CLIENT_HELLO_MAX_ALPN);
	names[16 * 32 - 1] = ',';
	names[17 * 32 - 1] = '\0';
	assert_int_equal(parse_recipe(&recipe, &hello), -EMSGSIZE);
	recipe.alpn = "h2,,http/1.1"; /* an empty name */
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
	recipe.alpn = "";
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
}

static void expect_sni(const char *sent, int result, const char *seen)
{
	struct hello_recipe recipe = {.sni = sent};
	struct client_hello hello;

	assert_int_equal(parse_recipe(&recipe, &hello), result);
	if (result != 1)
		return;
	assert_int_equal(hello.has_sni, *seen != '\0');
	assert_string_equal(hello.sni, seen);
}

static void test_server_names(void **state)
{
	char label[70], longest[300];

	(void)state;
	expect_sni("example.org.", 1, "example.org");
	expect_sni("WwW.EXAMPLE.Org", 1, "www.example.org");
	expect_sni("localhost", 1, "localhost");
	expect_sni("xn--bcher-kva.example", 1, "xn--bcher-kva.example");
	expect_sni("my_service.local", 1, "my_service.local");
	expect_sni("1and1.example", 1, "1and1.example");
	expect_sni("192.0.2.1", 1, "");
	expect_sni("2001:db8::1", 1, "");
	expect_sni("", -EBADMSG, NULL);
	expect_sni(".", -EBADMSG, NULL);
	expect_sni("..", -EBADMSG, NULL);
	expect_sni("a..b", -EBADMSG, NULL);
	expect_sni(".example.org", -EBADMSG, NULL);
	expect_sni("example.org..", -EBADMSG, NULL);
	expect_sni("exa mple.org", -EBADMSG, NULL);
	expect_sni("example.org/", -EBADMSG, NULL);
	expect_sni("*.example.org", -EBADMSG, NULL);
	expect_sni("b\xc3\xbc"
		   "cher.example",
		   -EBADMSG, NULL);
	expect_sni("example.org:443", -EBADMSG, NULL);

	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	expect_sni(label, 1, label);
	label[63] = 'a';
	label[64] = '\0';
	expect_sni(label, -EBADMSG, NULL);

	memset(longest, 'a', sizeof(longest));
	for (size_t i = 50; i < sizeof(longest); i += 51)
		longest[i] = '.';
	longest[253] = '\0';
	expect_sni(longest, 1, longest);
	longest[253] = 'a';
	longest[254] = '\0';
	expect_sni(longest, -EBADMSG, NULL);
	longest[299] = '\0';
	longest[254] = 'a';
	expect_sni(longest, -EBADMSG, NULL);
}

static void test_server_name_list(void **state)
{
	struct hello_recipe recipe = {.sni = "a.example", .sni_second = "b.example"};
	struct client_hello hello;
	uint8_t *name;

	(void)state;
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
	recipe.sni_second = NULL;
	recipe.sni_twice = true;
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
	recipe.sni_twice = false;
	make(&recipe);
	name = memmem(wire.at, wire.len, "a.example", 9);
	name[4] = '\0';
	assert_int_equal(parse_wire(&hello), -EBADMSG);
	name[4] = 'a';
	assert_int_equal(parse_wire(&hello), 1);
	name[-3] = 1; /* a name type that nobody defined */
	assert_int_equal(parse_wire(&hello), -EBADMSG);
}

static void test_extension_rules(void **state)
{
	struct hello_recipe recipe = rich;
	struct client_hello hello;
	uint8_t *found;

	(void)state;
	recipe.psk_last = false;
	recipe.psk_first = true;
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
	/* Unknown extensions may not come twice either. */
	make(&rich);
	found = memmem(wire.at, wire.len, "\xda\xda\0\1", 4);
	found[0] = found[1] = 0x8a;
	assert_int_equal(parse_wire(&hello), -EBADMSG);
	/* early_data is empty in a hello: take the next extension's type as its content. */
	make(&rich);
	found = memmem(wire.at, wire.len, "\0\x2a\0\0", 4);
	found[3] = 5;
	assert_int_equal(parse_wire(&hello), -EBADMSG);
}

static void test_post_handshake_auth(void **state)
{
	struct hello_recipe recipe = rich;
	struct client_hello hello;

	(void)state;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_false(hello.post_handshake_auth);
	recipe.post_handshake_auth = true;
	assert_int_equal(parse_recipe(&recipe, &hello), 1);
	assert_true(hello.post_handshake_auth);
	recipe.post_handshake_auth_len = 1;
	assert_int_equal(parse_recipe(&recipe, &hello), -EBADMSG);
}

/* Every length one too small, one too large, zero and as large as it goes. */
static void test_wrong_lengths(void **state)
{
	struct hello_lengths lengths = {.count = 0};
	struct client_hello hello;
	static struct hello_bytes good;

	(void)state;
	hello_make_message(&message, &rich, &lengths);
	good = message;
	assert_int_equal(lengths.count, 14);
	for (size_t i = 0; i < lengths.count; i++) {
		uint8_t *last = message.at + lengths.at[i] + lengths.width[i] - 1;
		static const int deltas[] = {-1, 1, -2, 2};

		for (size_t j = 0; j < 4; j++) {
			int result;

			message = good;
			*last = (uint8_t)(*last + deltas[j]);
			hello_make_wire(&wire, &message, 16384);
			result = parse_wire(&hello);
			/* The message's own length too large: the rest may still come. */
			if (i == 0 && deltas[j] > 0)
				assert_int_equal(result, 0);
			else
				assert_int_equal(result, -EBADMSG);
		}
		message = good;
		memset(last + 1 - lengths.width[i], 0xff, lengths.width[i]);
		hello_make_wire(&wire, &message, 16384);
		assert_int_equal(parse_wire(&hello), i == 0 ? -EMSGSIZE : -EBADMSG);
		message = good;
		memset(last + 1 - lengths.width[i], 0, lengths.width[i]);
		hello_make_wire(&wire, &message, 16384);
		/* An empty session id only shifts what follows; still no hello. */
		assert_int_equal(parse_wire(&hello), -EBADMSG);
	}
}

static void expect_result_at(const void *bytes, size_t len, int result)
{
	struct client_hello hello;
	size_t need;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(parse_exact(bytes, i, &hello, &need), 0);
	assert_int_equal(parse_exact(bytes, len, &hello, &need), result);
}

/* The last byte given is the one that tells. */
static void test_other_protocols(void **state)
{
	(void)state;
	expect_result_at("G", 1, -EPROTO);                   /* HTTP */
	expect_result_at("S", 1, -EPROTO);                   /* SSH */
	expect_result_at("\x80", 1, -EPROTO);                /* SSLv2 ClientHello */
	expect_result_at("\0", 1, -EPROTO);                  /* PostgreSQL SSLRequest */
	expect_result_at("\25", 1, -EPROTO);                 /* an alert first */
	expect_result_at("\27", 1, -EPROTO);                 /* data first */
	expect_result_at("\26\2", 2, -EPROTO);               /* no version of TLS */
	expect_result_at("\26\376\375\0\0", 2, -EPROTO);     /* DTLS */
	expect_result_at("\26\3\1\0\0", 5, -EBADMSG);        /* an empty record */
	expect_result_at("\26\3\1\x40\1", 5, -EBADMSG);      /* longer than a record may be */
	expect_result_at("\26\3\1\0\x20\2", 6, -EBADMSG);    /* a ServerHello */
	expect_result_at("\26\3\1\0\1\1\27", 7, -EBADMSG);   /* another record type inside */
	expect_result_at("\26\3\1\0\1\1\26\2", 8, -EBADMSG); /* another version inside */
	expect_result_at("\26\3\1\0\1\1\26\3\1\0\0", 11, -EBADMSG);
	/* More in the record than the hello. */
	expect_result_at("\26\3\1\0\x30\1\0\0\x10", 9, -EBADMSG);
}

/* Any byte changed to anything, any prefix: a clear answer, and no byte read beyond. */
static void test_mutations(void **state)
{
	static struct hello_bytes good;
	struct client_hello hello;
	unsigned int seed = 1;

	(void)state;
	hello_make_message(&message, &rich, NULL);
	hello_make_wire(&good, &message, 150);
	for (size_t i = 0; i < 60000; i++) {
		size_t changes = 1 + i % 3;
		size_t need, len = good.len;
		int result;

		memcpy(wire.at, good.at, good.len);
		while (changes--)
			wire.at[(size_t)rand_r(&seed) % good.len] = (uint8_t)rand_r(&seed);
		if (i % 5 == 0)
			len = (size_t)rand_r(&seed) % (good.len + 1);
		result = parse_exact(wire.at, len, &hello, &need);
		if (result == 1) {
			assert_true(hello.wire_len <= len);
			assert_true(hello.alpn_len <= sizeof(hello.alpn));
			assert_true(hello.ciphers_len <= CLIENT_HELLO_MAX_CIPHERS);
			assert_true(strlen(hello.sni) <= 253);
			assert_int_equal(hello.has_sni, hello.sni[0] != '\0');
		} else if (result == 0) {
			assert_true(need > len);
		} else {
			assert_true(result == -EPROTO || result == -EBADMSG || result == -EMSGSIZE);
		}
	}
}

/* The first flight of an OpenSSL client. */
static void capture(SSL_CTX *ctx, const char *sni, const char *alpn)
{
	BIO *out = BIO_new(BIO_s_mem());
	SSL *ssl = SSL_new(ctx);

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	if (sni)
		SSL_set_tlsext_host_name(ssl, sni);
	if (alpn)
		SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned int)strlen(alpn));
	SSL_connect(ssl);
	wire.len = (size_t)BIO_read(out, wire.at, sizeof(wire.at));
	SSL_free(ssl);
}

/* The parser's list of suites is the client's own, in its order. */
static void expect_openssl_ciphers(SSL_CTX *ctx, const struct client_hello *hello)
{
	SSL *ssl = SSL_new(ctx);
	STACK_OF(SSL_CIPHER) *ciphers = SSL_get1_supported_ciphers(ssl);

	assert_int_equal(hello->ciphers_len, sk_SSL_CIPHER_num(ciphers));
	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
		assert_int_equal(hello->ciphers[i],
				 SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(ciphers, i)));
	sk_SSL_CIPHER_free(ciphers);
	SSL_free(ssl);
}

static void expect_codes(const struct client_hello_codes *codes, const uint16_t *expected)
{
	assert_true(codes->there);
	for (size_t i = 0; i < codes->len; i++)
		assert_int_equal(codes->at[i], expected[i]);
	assert_int_equal(expected[codes->len], 0);
}

/* One extension by hand: a list of codes, of which GREASE is left out. */
static int parse_list(unsigned int type, const uint8_t *body, size_t len, struct client_hello *out)
{
	size_t all, list, inner;

	message.len = 0;
	hello_put8(&message, 1);
	all = hello_put_open(&message, 3, NULL);
	hello_put16(&message, 0x0303);
	hello_put_zeros(&message, 32 + 1);
	hello_put16(&message, 2);
	hello_put16(&message, 0x1301);
	hello_put16(&message, 0x0100);
	list = hello_put_open(&message, 2, NULL);
	hello_put16(&message, type);
	inner = hello_put_open(&message, 2, NULL);
	hello_put(&message, body, len);
	hello_put_close(&message, 2, inner);
	hello_put_close(&message, 2, list);
	hello_put_close(&message, 3, all);
	hello_make_wire(&wire, &message, 16384);
	return parse_wire(out);
}

static void test_code_lists(void **state)
{
	static const uint8_t good[] = {0, 6, 0x2a, 0x2a, 4, 3, 8, 4};
	static const uint8_t odd[] = {0, 3, 4, 3, 8}, empty[] = {0, 0}, more[] = {0, 2, 4, 3, 9};
	static const uint8_t many[2 + 2 * (CLIENT_HELLO_MAX_CODES + 1)] = {
		0, 2 * (CLIENT_HELLO_MAX_CODES + 1)};
	struct client_hello hello;

	(void)state;
	assert_int_equal(parse_list(10, good, sizeof(good), &hello), 1);
	expect_codes(&hello.groups, (const uint16_t[]){0x0403, 0x0804, 0});
	assert_int_equal(parse_list(13, good, sizeof(good), &hello), 1);
	expect_codes(&hello.signatures, (const uint16_t[]){0x0403, 0x0804, 0});
	assert_int_equal(parse_list(50, good, sizeof(good), &hello), 1);
	expect_codes(&hello.cert_signatures, (const uint16_t[]){0x0403, 0x0804, 0});
	assert_false(hello.signatures.there);
	assert_int_equal(parse_list(13, odd, sizeof(odd), &hello), -EBADMSG);
	assert_int_equal(parse_list(13, empty, sizeof(empty), &hello), -EBADMSG);
	assert_int_equal(parse_list(10, more, sizeof(more), &hello), -EBADMSG);
	assert_int_equal(parse_list(10, many, sizeof(many), &hello), -EMSGSIZE);
	assert_int_equal(parse_list(10, many, 0, &hello), -EBADMSG);
}

static void test_openssl_hellos(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct client_hello hello;

	(void)state;
	capture(ctx, "www.example.org", "\2h2\10http/1.1");
	assert_int_equal(parse_wire(&hello), 1);
	assert_int_equal(hello.wire_len, wire.len);
	assert_string_equal(hello.sni, "www.example.org");
	assert_int_equal(hello.alpn_len, 12);
	assert_memory_equal(hello.alpn, "\2h2\10http/1.1", 12);
	assert_true(hello.offers_tls12 && hello.offers_tls13 && !hello.early_data);
	expect_openssl_ciphers(ctx, &hello);
	expect_prefixes(1);

	SSL_CTX_set1_groups_list(ctx, "P-256:X25519");
	SSL_CTX_set1_sigalgs_list(ctx, "RSA-PSS+SHA256:ECDSA+SHA256:RSA+SHA512");
	capture(ctx, NULL, NULL);
	assert_int_equal(parse_wire(&hello), 1);
	expect_codes(&hello.groups, (const uint16_t[]){23, 29, 0});
	expect_codes(&hello.signatures, (const uint16_t[]){0x0804, 0x0403, 0x0601, 0});
	assert_false(hello.cert_signatures.there);

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	capture(ctx, NULL, NULL);
	assert_int_equal(parse_wire(&hello), 1);
	assert_true(hello.offers_tls12 && !hello.offers_tls13);
	assert_false(hello.has_sni);
	assert_int_equal(hello.alpn_len, 0);
	expect_openssl_ciphers(ctx, &hello);
	expect_prefixes(1);

	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	capture(ctx, "Example.ORG", NULL);
	assert_int_equal(parse_wire(&hello), 1);
	assert_true(!hello.offers_tls12 && hello.offers_tls13);
	assert_string_equal(hello.sni, "example.org");
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_no_extensions),
		cmocka_unit_test(test_status_request),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_byte_at_a_time),
		cmocka_unit_test(test_split_anywhere),
		cmocka_unit_test(test_bytes_behind),
		cmocka_unit_test(test_code_lists),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_alpn_limits),
		cmocka_unit_test(test_server_names),
		cmocka_unit_test(test_server_name_list),
		cmocka_unit_test(test_extension_rules),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_post_handshake_auth),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_openssl_hellos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
