// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "observe/uri_template.h"

struct example {
	const char *path, *expected;
};

static void check(const char *path, const char *expected)
{
	char out[URI_TEMPLATE_MAX];
	size_t len = uri_template(path, out);

	if (strcmp(out, expected) != 0)
		fail_msg("\"%s\" became \"%s\", not \"%s\"", path, out, expected);
	assert_int_equal(len, strlen(expected));
}

static void check_all(const struct example *examples, size_t len)
{
	for (size_t i = 0; i < len; i++)
		check(examples[i].path, examples[i].expected);
}

#define CHECK_ALL(examples) check_all(examples, sizeof(examples) / sizeof((examples)[0]))

static void test_names_stay(void **state)
{
	static const char *const paths[] = {
		"",
		"*",
		"/",
		"//",
		"/a//b/",
		"/.",
		"/../x",
		"/index.html",
		"/app.js",
		"/static/jquery-3.6.0.min.js",
		"/api/v1/users",
		"/v2.1/items",
		"/apis/apps/v1beta1/deployments",
		"/v2alpha1",
		"/.well-known/openid-configuration",
		"/oauth2/token",
		"/i18n/en-US/messages.json",
		"/x86_64/base64url/utf8mb4/sha256",
		"/getUserAccountSettingsByName",
		"/com.example.shop.v1.OrderService/ListOrders",
		"/grpc.health.v1.Health/Check",
		"/XMLHttpRequestHTTPProxyCSSParser",
		"/deadbeef/facade/decade",
		"/user-42/page1/a:b/~me/(x)!",
		"/fonts/roboto-v30-latin-700.woff2",
		"/iPhone12-Pro-Max-case",
		"/some-quite-long-name-of-an-article-here",
		"example.com:443",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		check(paths[i], paths[i]);
}

static void test_numbers(void **state)
{
	static const struct example examples[] = {
		{"/users/42", "/users/{number}"},
		{"/users/42/orders/1", "/users/{number}/orders/{number}"},
		{"/temp/-7.25", "/temp/{number}"},
		{"/lib/3.6.0/a.js", "/lib/{number}/a.js"},
		{"/+4915112345678", "/{number}"},
		{"/2024/01/02", "/{number}/{number}/{number}"},
		{"/2024-01-02", "/{number}"},
		{"/2024-01-02T10:20:30Z", "/{number}"},
		{"/20240102T102030Z", "/{number}"},
		{"/10.0.0.1", "/{number}"},
		{"/1,2,3", "/{number}"},
		{"/order-12345", "/order-{number}"},
		{"/order12345", "/order{number}"},
		{"/report-2024-q1.pdf", "/report-{number}-q1.pdf"},
		{"/%34%32", "/{number}"},
		{"/example.com:8443", "/example.com:{number}"},
	};

	(void)state;
	CHECK_ALL(examples);
}

static void test_ids(void **state)
{
	static const struct example examples[] = {
		{"/a/123e4567-e89b-12d3-a456-426614174000/b", "/a/{uuid}/b"},
		{"/123E4567-E89B-12D3-A456-426614174000", "/{uuid}"},
		{"/x-123e4567-e89b-12d3-a456-426614174000", "/x-{uuid}"},
		{"/customer-123e4567-e89b-12d3-a456-426614174000", "/{token}"}, /* long */
		{"/123e4567-e89b-12d3-a456-426614174000.js", "/{uuid}.js"},
		{"/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "/{uuid}"},
		{"/orders/9f86d081884c7d65", "/orders/{hex}"},
		{"/123e4567e89b12d3a456426614174000", "/{hex}"},
		{"/9F86D081", "/{hex}"},
		{"/bundle.9f86d081884c.js", "/bundle.{hex}.js"},
		{"/main-9f86d081.css", "/main-{hex}.css"},
		{"/dead1eef", "/{hex}"},
		{"/bob@example.com", "/{email}"},
		{"/bob%40example.com/x", "/{email}/x"},
		{"/user:secret@host/x", "/{email}/x"},
	};

	(void)state;
	CHECK_ALL(examples);
}

static void test_tokens(void **state)
{
	static const struct example examples[] = {
		{"/reset/dGhpc2lzYXRva2Vu", "/reset/{token}"},
		{"/watch/dQw4w9WgXcQ", "/watch/{token}"},
		{"/t/AbCd-3fGh_1jKlMnOp", "/t/{token}"},
		{"/s3cr3tpassw0rd", "/{token}"},
		{"/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "/{token}"},
		{"/AKIAIOSFODNN7EXAMPLE", "/{token}"},
		{"/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/{token}"},
		{"/eyJhbGciOiJub25lIn0.e30.", "/{token}"},
		{"/XkQwRtZpLmNbVcXzQs", "/{token}"},
		{"/c2VjcmV0cGFzcw==", "/{token}"},
		{"/a%20b", "/{token}"},
		{"/caf%C3%A9", "/{token}"},
		{"/caf\xc3\xa9", "/{token}"},
		{"/100%", "/{token}"},
		{"/%zz/%4", "/{token}/{token}"},
		{"/..%2f..%2fetc", "/{token}"},
		{"/%2541", "/{token}"},
		{"/a b/\"q\"/<x>/a\\b/{number}", "/{token}/{token}/{token}/{token}/{token}"},
		{"/a\r\nb\tc", "/{token}"},
		{"/an-article-with-a-title-of-more-than-forty", "/{token}"},
		{"/date=2024-01-02/token=abc", "/date={token}/token={token}"},
		{"/=x", "/{token}"},
	};

	(void)state;
	CHECK_ALL(examples);
}

static void test_encoded_plain_names_are_the_names(void **state)
{
	(void)state;
	check("/%61pp%2Ejs", "/app.js");
	check("/%7Eme", "/~me");
}

static void test_parameters(void **state)
{
	static const struct example examples[] = {
		{"/a?q=secret&page=2", "/a?page&q"},
		{"/a?q&page", "/a?page&q"},
		{"/a?b&a&b&a=1", "/a?a&b"},
		{"/a?", "/a"},
		{"/a?&&=x&", "/a"},
		{"/a?x;y=2", "/a?x&y"},
		{"/a?x#fragment?y", "/a?x"},
		{"/a#?x", "/a"},
		{"/a?ids[]=1&filter[name]=x", "/a?filter[name]&ids[]"},
		{"/a?9f86d081884c7d65", "/a?{hex}"},
		{"/a?1700000000", "/a?{number}"},
		{"/a?what+i+typed", "/a?{token}"},
		{"/a?bob@example.com", "/a?{email}"},
		{"/a?b=http://u:p@h/?x", "/a?b"},
		{"/a?b?c/d", "/a?{token}"},
		{"?x", "?x"},
		{"/a;jsessionid=1A2B/b;v=1;w", "/a;jsessionid/b;v;w"},
		{"/a;;", "/a"},
		{"/a;123456=1", "/a;{number}"},
	};

	(void)state;
	CHECK_ALL(examples);
}

static void test_number_of_parameters(void **state)
{
	(void)state;
	check("/?p&o&n&m&l&k&j&i&h&g&f&e&d&c&b&a", "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p");
	check("/?q&p&o&n&m&l&k&j&i&h&g&f&e&d&c&b&a", "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&{...}");
	check("/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&a", "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&{...}");
}

static void test_length(void **state)
{
	char path[4096] = "", out[URI_TEMPLATE_MAX];

	(void)state;
	for (int i = 0; i < 300; i++)
		strcat(path, "/abcdefghi");
	assert_int_equal(uri_template(path, out), 255);
	assert_memory_equal(out, path, 250);
	assert_string_equal(out + 250, "{...}");

	path[255] = '\0'; /* fits to the byte */
	assert_int_equal(uri_template(path, out), 255);
	assert_string_equal(out, path);

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	check(path, "/{token}");
	memset(path, '/', sizeof(path) - 1);
	assert_int_equal(uri_template(path, out), 255);
	memset(path, ';', sizeof(path) - 1);
	check(path, "");
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*seed >> 33);
}

static void random_path(uint64_t *seed, char *path, size_t size)
{
	static const char likely[] = "/////....--__??&&==;;%%%@#0123456789abcdefXYZ{}[]+ 2F40:eyJ";
	size_t len = next_random(seed) % size;
	bool wild = next_random(seed) % 2;

	for (size_t i = 0; i < len; i++) {
		if (wild)
			path[i] = (char)(1 + next_random(seed) % 255);
		else
			path[i] = likely[next_random(seed) % (sizeof(likely) - 1)];
	}
	path[len] = '\0';
}

static void check_form(const char *out, size_t len)
{
	assert_int_equal(strnlen(out, URI_TEMPLATE_MAX), len);
	for (size_t i = 0; i < len; i++)
		assert_true(out[i] > ' ' && out[i] < 0x7f);
}

static void test_any_bytes(void **state)
{
	char path[600], out[URI_TEMPLATE_MAX], again[URI_TEMPLATE_MAX];
	uint64_t seed = 1;
	int plain = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len;

		random_path(&seed, path, i % 2 ? sizeof(path) : 24);
		memset(out, 'x', sizeof(out));
		memset(again, 'y', sizeof(again));
		len = uri_template(path, out);
		check_form(out, len);
		assert_int_equal(uri_template(path, again), len);
		assert_string_equal(out, again);
		if (strchr(out, '{'))
			continue;
		plain++;
		uri_template(out, again);
		assert_string_equal(again, out);
	}
	assert_true(plain > 1000);
}

/* Of what a query's values, matrix values and user info hold nothing is left. */
static void test_secrets(void **state)
{
	static const char *const shapes[] = {"/a?x=%s",     "/a?x=1&y=%s&z", "/a;s=%s/b", "/a/k=%s",
					     "/u:%s@host/", "/a?x=a=%s",     "/a#%s"};
	char path[128], out[URI_TEMPLATE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const char *at = strstr(shapes[i], "%s");

		strcpy(path, shapes[i]);
		strcpy(path + (at - shapes[i]), "hush");
		strcat(path, at + 2);
		uri_template(path, out);
		if (strstr(out, "hush"))
			fail_msg("\"%s\" became \"%s\"", path, out);
	}
}

static void check_cut(const char *path, const char *expected)
{
	char out[URI_TEMPLATE_MAX];
	size_t len = uri_template_cut(path, out);

	assert_string_equal(out, expected);
	assert_int_equal(len, strlen(expected));
}

/* The last part is a piece of what nobody knows. */
static void test_cut(void **state)
{
	char path[600], out[URI_TEMPLATE_MAX];

	(void)state;
	check_cut("", "{...}");
	check_cut("/", "/{...}");
	check_cut("hush", "{...}");
	check_cut("/a/42/hush", "/a/{number}/{...}");
	check_cut("/a/42/", "/a/{number}/{...}");
	check_cut("/a?hush", "/a{...}");
	check_cut("/a?page&hush", "/a?page{...}");
	check_cut("/a;s;hush", "/a;s{...}");
	check_cut("/a/b=hush", "/a/{...}");
	/* Whatever the length: never more than there is room for, and the mark once. */
	for (size_t len = 1; len < sizeof(path); len++) {
		size_t n;

		for (size_t i = 0; i < len; i++)
			path[i] = i % 9 ? 'n' : '/';
		path[len] = '\0';
		n = uri_template_cut(path, out);
		check_form(out, n);
		assert_true(n >= 5);
		assert_ptr_equal(strstr(out, "{...}"), out + n - 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_stay),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_encoded_plain_names_are_the_names),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_number_of_parameters),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
