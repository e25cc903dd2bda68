/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_CONFIG_SAME_H
#define KSPLIT_TESTS_CONFIG_SAME_H

/* Two configurations held against each other, every setting of them. After cmocka.h. */

#include <stdint.h>
#include <string.h>

#include "core/config.h"

/* A text in a configuration that is only looked at, never freed. */
#define CONFIG_TEXT(text) ((char *)(uintptr_t)(text))

/* Either may be NULL: not set. */
static inline void config_expect_text(const char *name, const char *is, const char *expected)
{
	if (!is != !expected || (is && strcmp(is, expected) != 0))
		fail_msg("%s is \"%s\", expected \"%s\"", name, is ? is : "(null)",
			 expected ? expected : "(null)");
}

#define CONFIG_EXPECT_TEXT(member) config_expect_text(#member, is->member, expected->member)
#define CONFIG_EXPECT(member)                                                                      \
	do {                                                                                       \
		if (is->member != expected->member)                                                \
			fail_msg("%s is %jd, expected %jd", #member, (intmax_t)is->member,         \
				 (intmax_t)expected->member);                                      \
	} while (0)

static inline void config_expect_listeners(const struct config *is, const struct config *expected)
{
	CONFIG_EXPECT(listeners_len);
	for (size_t i = 0; i < expected->listeners_len; i++) {
		CONFIG_EXPECT(listeners[i].destination);
		CONFIG_EXPECT_TEXT(listeners[i].host);
		CONFIG_EXPECT(listeners[i].port);
	}
}

static inline void config_expect_sampling(const struct config *is, const struct config *expected)
{
	CONFIG_EXPECT(sampler);
	CONFIG_EXPECT(sampling.attach);
	CONFIG_EXPECT(sampling.head_bytes);
	CONFIG_EXPECT(sampling.ring_bytes);
	CONFIG_EXPECT(sampling.queue_bytes);
	CONFIG_EXPECT(sampling.timings);
	CONFIG_EXPECT(sampling.processes);
}

static inline void config_expect_metrics(const struct config *is, const struct config *expected)
{
	CONFIG_EXPECT_TEXT(metrics.prometheus);
	CONFIG_EXPECT_TEXT(metrics.otlp_endpoint);
	CONFIG_EXPECT(metrics.otlp_interval);
	CONFIG_EXPECT(metrics.otlp_timeout);
	CONFIG_EXPECT(metrics.otlp_queue);
	CONFIG_EXPECT(metrics.max_series);
	CONFIG_EXPECT(metrics.max_endpoints);
}

static inline void config_expect_sessions(const struct config *is, const struct config *expected)
{
	CONFIG_EXPECT(sessions.upstream_cache);
	CONFIG_EXPECT(sessions.upstream_lifetime_s);
	CONFIG_EXPECT(sessions.upstream_tickets);
	CONFIG_EXPECT(sessions.client_cache);
	CONFIG_EXPECT(sessions.client_tickets);
	CONFIG_EXPECT(sessions.rotation_s);
}

static inline void config_expect_deadlines(const struct config *is, const struct config *expected)
{
	CONFIG_EXPECT(deadlines.peek);
	CONFIG_EXPECT(deadlines.resolve);
	CONFIG_EXPECT(deadlines.connect);
	CONFIG_EXPECT(deadlines.upstream_handshake);
	CONFIG_EXPECT(deadlines.client_handshake);
	CONFIG_EXPECT(deadlines.idle);
	CONFIG_EXPECT(deadlines.close);
	CONFIG_EXPECT(deadlines.drain);
}

/* But for the listeners' addresses. */
static inline void config_expect_same(const struct config *is, const struct config *expected)
{
	config_expect_listeners(is, expected);
	CONFIG_EXPECT_TEXT(ca_cert);
	CONFIG_EXPECT_TEXT(ca_key);
	CONFIG_EXPECT_TEXT(leaf_key_type);
	CONFIG_EXPECT(leaf_cache);
	CONFIG_EXPECT(sign_rate);
	CONFIG_EXPECT_TEXT(signer_user);
	CONFIG_EXPECT_TEXT(upstream_ca);
	CONFIG_EXPECT(verify);
	CONFIG_EXPECT(relay);
	CONFIG_EXPECT(ktls);
	config_expect_sampling(is, expected);
	config_expect_metrics(is, expected);
	CONFIG_EXPECT_TEXT(control);
	CONFIG_EXPECT_TEXT(access_log);
	CONFIG_EXPECT(access_log_requests);
	CONFIG_EXPECT(workers);
	CONFIG_EXPECT(max_connections);
	CONFIG_EXPECT(gcm_records);
	config_expect_sessions(is, expected);
	config_expect_deadlines(is, expected);
	CONFIG_EXPECT_TEXT(user);
	CONFIG_EXPECT(foreground);
	CONFIG_EXPECT(check);
	CONFIG_EXPECT(log_level);
}

#endif
