// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/error_alert.h"

static void test_alerts_of_the_peer(void **state)
{
	(void)state;
	for (int description = 0; description < 256; description++)
		assert_int_equal(error_alert(ERR_PACK(ERR_LIB_SSL, 0,
						      SSL_AD_REASON_OFFSET + description)),
				 description);
}

/* Reasons of our own side's library, those that all libraries share (OpenSSL 3.0.19 gives one to a
 * record that is too short), and other libraries'. */
static void test_no_alerts(void **state)
{
	(void)state;
	assert_int_equal(error_alert(0), -1);
	assert_int_equal(error_alert(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_LENGTH_TOO_SHORT)), -1);
	assert_int_equal(error_alert(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR)), -1);
	assert_int_equal(error_alert(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_MALLOC_FAILURE)), -1);
	assert_int_equal(error_alert(ERR_PACK(ERR_LIB_EVP, 0, SSL_AD_REASON_OFFSET + 40)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alerts_of_the_peer),
		cmocka_unit_test(test_no_alerts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
