// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/kernel_btf.h"

/* BTF with one type for each name, as libbpf writes it; the caller frees it. */
static void *make_btf(const char *const *names, uint32_t *len)
{
	struct btf *btf = btf__new_empty();
	const void *bytes;
	void *copy;

	for (; *names; names++)
		assert_true(btf__add_struct(btf, *names, 4) > 0);
	bytes = btf__raw_data(btf, len);
	assert_non_null(bytes);
	/* as long as it is: a byte read behind it is seen by the sanitizer */
	copy = malloc(*len);
	memcpy(copy, bytes, *len);
	btf__free(btf);
	return copy;
}

static void test_whole_names_only(void **state)
{
	static const char *const names[] = {"__inet_sendmsg", "inet_sendmsg_more", "inet6_sendmsg",
					    "last", NULL};
	struct kernel_btf kernel = {0};
	uint32_t len;
	void *btf = make_btf(names, &len);

	(void)state;
	assert_int_equal(kernel_btf_take(btf, len, &kernel), 0);
	free(btf);
	assert_false(kernel_btf_has(&kernel, "inet_sendmsg"));
	assert_false(kernel_btf_has(&kernel, "inet_sendpage"));
	assert_false(kernel_btf_has(&kernel, "las"));
	assert_true(kernel_btf_has(&kernel, "__inet_sendmsg"));
	assert_true(kernel_btf_has(&kernel, "inet6_sendmsg"));
	assert_true(kernel_btf_has(&kernel, "last"));
	kernel_btf_free(&kernel);
	assert_false(kernel_btf_has(&kernel, "last"));
}

static void test_what_is_cut_is_none(void **state)
{
	static const char *const names[] = {"inet_sendmsg", NULL};
	struct kernel_btf kernel = {0};
	uint32_t len;
	char *btf = make_btf(names, &len);

	(void)state;
	for (uint32_t cut = 0; cut < len; cut++) {
		char *part = malloc(cut ? cut : 1);

		memcpy(part, btf, cut);
		assert_int_equal(kernel_btf_take(part, cut, &kernel), -EINVAL);
		free(part);
	}
	btf[0] ^= 1;
	assert_int_equal(kernel_btf_take(btf, len, &kernel), -EINVAL);
	free(btf);
	assert_null(kernel.names);
}

/* As libbpf has it, which goes through all types. */
static void test_running_kernel(void **state)
{
	static const char *const names[] = {"inet_sendmsg", "inet6_sendmsg", "inet_sendpage",
					    "ksplit_is_no_function"};
	struct kernel_btf kernel = {0};
	struct btf *btf = btf__load_vmlinux_btf();

	(void)state;
	assert_int_equal(kernel_btf_read(&kernel) == 0, btf != NULL);
	for (size_t i = 0; btf && i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(kernel_btf_has(&kernel, names[i]),
				 btf__find_by_name_kind(btf, names[i], BTF_KIND_FUNC) > 0);
	kernel_btf_free(&kernel);
	btf__free(btf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_names_only),
		cmocka_unit_test(test_what_is_cut_is_none),
		cmocka_unit_test(test_running_kernel),
	};

	return cmocka_run_group_tests_name("kernel_btf", tests, NULL, NULL);
}
