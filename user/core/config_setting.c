// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config_setting.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include <ksplit/head_event.h>

#define WEEK_MS     604800000U /* longer than anybody waits; fits epoll_wait(2)'s int */
#define WEEK_S        604800U    /* no ticket lives longer (RFC 8446 4.6.1) */
#define MANY        2147483647U
#define MAX_WORKERS 1024U
#define MAX_LEAVES  1048576U
#define MAX_SIGN_RATE 1000000U
#define MIN_HEAD    64U
#define MIN_QUEUE   65536U
#define MAX_QUEUE   1073741824U
#define MAX_SERIES  1000000U
#define MAX_MIB     16777216U /* 16 TiB */

static const char *const verify_names[] = {
	[VERIFY_MIMIC] = "mimic", [VERIFY_REQUIRE] = "require", [VERIFY_OFF] = "off", NULL};
static const char *const relay_names[] = {[RELAY_AUTO] = "auto",
					  [RELAY_SPLICE] = "splice",
					  [RELAY_COPY] = "copy",
					  [RELAY_USER] = "user",
					  NULL};
static const char *const ktls_names[] = {
	[KTLS_AUTO] = "auto", [KTLS_OFF] = "off", [KTLS_REQUIRE] = "require", NULL};
static const char *const sampler_names[] = {[SAMPLER_AUTO] = "auto",
					    [SAMPLER_BPF] = "bpf",
					    [SAMPLER_USER] = "user",
					    [SAMPLER_OFF] = "off",
					    NULL};
static const char *const attach_names[] = {[ATTACH_AUTO] = "auto",
					   [ATTACH_FENTRY] = "fentry",
					   [ATTACH_SK_MSG] = "sk_msg",
					   NULL};
static const char *const level_names[] = {[LOG_LEVEL_ERROR] = "error",
					  [LOG_LEVEL_WARN] = "warn",
					  [LOG_LEVEL_INFO] = "info",
					  [LOG_LEVEL_DEBUG] = "debug",
					  NULL};
static const char *const taps_side_names[] = {[TAPS_SIDE_CLIENT] = "client",
					      [TAPS_SIDE_UPSTREAM] = "upstream",
					      [TAPS_SIDE_BOTH] = "both",
					      NULL};
static const char *const leaf_key_names[] = {"P-256", "P-384", "RSA-2048", "RSA-3072", NULL};

#define SETTING(key_, option_, type_, member)                                                      \
	.key = key_, .option = option_, .type = type_, .offset = offsetof(struct config, member)
#define TEXT(key, option, member)                                                                  \
	{                                                                                          \
		SETTING(key, option, SETTING_TEXT, member)                                         \
	}
#define CHOICE(key, option, member, names)                                                         \
	{                                                                                          \
		SETTING(key, option, SETTING_CHOICE, member), .choices = names                     \
	}
#define NUMBER(key, option, member, low, high)                                                     \
	{                                                                                          \
		SETTING(key, option, SETTING_NUMBER, member), .min = low, .max = high              \
	}
#define DEADLINE(name) NUMBER("limits.deadlines_ms." #name, NULL, deadlines.name, 1, WEEK_MS)

const struct config_setting config_settings[] = {
	TEXT("ca.cert", "ca-cert", ca_cert),
	TEXT("ca.key", "ca-key", ca_key),
	{SETTING("ca.leaf_key", "leaf-key", SETTING_CHOICE_TEXT, leaf_key_type),
	 .choices = leaf_key_names},
	NUMBER("ca.leaf_cache", NULL, leaf_cache, 1, MAX_LEAVES),
	NUMBER("ca.sign_rate", NULL, sign_rate, 1, MAX_SIGN_RATE),
	TEXT("ca.signer_user", NULL, signer_user),
	TEXT("upstream.ca", "upstream-ca", upstream_ca),
	{SETTING("upstream.parallel_handshake", NULL, SETTING_BOOL, parallel_handshake)},
	CHOICE("upstream.verify", "upstream-verify", verify, verify_names),
	CHOICE("relay", "relay", relay, relay_names),
	CHOICE("ktls", "ktls", ktls, ktls_names),
	CHOICE("sampler", "sampler", sampler, sampler_names),
	CHOICE("sampling.attach", "sampler-attach", sampling.attach, attach_names),
	NUMBER("sampling.head_bytes", NULL, sampling.head_bytes, MIN_HEAD, KSPLIT_HEAD_MAX),
	NUMBER("sampling.ring_bytes", NULL, sampling.ring_bytes, MIN_QUEUE, MAX_QUEUE),
	NUMBER("sampling.queue_bytes", NULL, sampling.queue_bytes, MIN_QUEUE, MAX_QUEUE),
	{SETTING("sampling.timings", NULL, SETTING_BOOL, sampling.timings)},
	{SETTING("sampling.processes", NULL, SETTING_BOOL, sampling.processes)},
	{SETTING("metrics.prometheus", "metrics", SETTING_TEXT, metrics.prometheus),
	 .may_be_empty = true},
	{SETTING("metrics.otlp.endpoint", "otlp", SETTING_TEXT, metrics.otlp_endpoint),
	 .may_be_empty = true},
	NUMBER("metrics.otlp.interval_ms", NULL, metrics.otlp_interval, 100, WEEK_MS),
	NUMBER("metrics.otlp.timeout_ms", NULL, metrics.otlp_timeout, 100, WEEK_MS),
	NUMBER("metrics.otlp.queue", NULL, metrics.otlp_queue, 1, 1000),
	NUMBER("metrics.max_series", NULL, metrics.max_series, 1, MAX_SERIES),
	NUMBER("metrics.max_endpoints", NULL, metrics.max_endpoints, 1, MAX_SERIES),
	TEXT("taps.keylog", NULL, taps.keylog),
	CHOICE("taps.keylog_side", NULL, taps.keylog_side, taps_side_names),
	TEXT("taps.content", NULL, taps.content),
	NUMBER("taps.content_connection", NULL, taps.content_connection, 1, MAX_MIB),
	NUMBER("taps.content_total", NULL, taps.content_total, 1, MAX_MIB),
	TEXT("taps.pcapng", NULL, taps.pcapng),
	NUMBER("taps.pcapng_connection", NULL, taps.pcapng_connection, 1, MAX_MIB),
	NUMBER("taps.pcapng_file", NULL, taps.pcapng_file, 1, MAX_MIB),
	NUMBER("taps.pcapng_files", NULL, taps.pcapng_files, 0, 1000),
	TEXT("access_log", "access-log", access_log),
	{SETTING("access_log_requests", NULL, SETTING_BOOL, access_log_requests)},
	{SETTING("control", "control", SETTING_TEXT, control), .may_be_empty = true},
	NUMBER("workers", "workers", workers, 0, MAX_WORKERS),
	NUMBER("limits.max_connections", "max-connections", max_connections, 0, MANY),
	NUMBER("limits.handshakes", NULL, handshakes, 0, MANY),
	NUMBER("limits.memory", NULL, memory, 0, MAX_MIB),
	NUMBER("limits.learned_pass", NULL, learned_pass, 0, WEEK_MS),
	NUMBER("limits.learned_names", NULL, learned_names, 1, MAX_SERIES),
	NUMBER("limits.gcm_records", NULL, gcm_records, 1, CONFIG_GCM_RECORDS),
	NUMBER("sessions.upstream.cache", NULL, sessions.upstream_cache, 0, MAX_LEAVES),
	NUMBER("sessions.upstream.lifetime_s", NULL, sessions.upstream_lifetime_s, 1, WEEK_S),
	{SETTING("sessions.upstream.tickets", NULL, SETTING_BOOL, sessions.upstream_tickets)},
	NUMBER("sessions.client.cache", NULL, sessions.client_cache, 0, MAX_LEAVES),
	{SETTING("sessions.client.tickets", NULL, SETTING_BOOL, sessions.client_tickets)},
	NUMBER("sessions.client.rotation_s", NULL, sessions.rotation_s, 1, WEEK_S),
	DEADLINE(silence),
	DEADLINE(peek),
	DEADLINE(resolve),
	DEADLINE(connect),
	DEADLINE(plain),
	DEADLINE(upstream_handshake),
	DEADLINE(client_handshake),
	DEADLINE(idle),
	DEADLINE(close),
	DEADLINE(drain),
	DEADLINE(upgrade),
	DEADLINE(upgrade_drain),
	CHOICE("log_level", "log-level", log_level, level_names),
	TEXT("user", "user", user),
	{SETTING("foreground", "foreground", SETTING_BOOL, foreground)},
	{.key = NULL},
};

/* Enums without negative values are unsigned int (GCC manual, C implementation). */
_Static_assert(sizeof(enum config_relay) == sizeof(unsigned int), "SETTING_CHOICE writes an int");

const struct config_setting *config_setting_find_key(const char *key)
{
	const struct config_setting *s;

	for (s = config_settings; s->key; s++) {
		if (strcmp(s->key, key) == 0)
			return s;
	}
	return NULL;
}

const struct config_setting *config_setting_find_option(const char *option)
{
	const struct config_setting *s;

	for (s = config_settings; s->key; s++) {
		if (s->option && strcmp(s->option, option) == 0)
			return s;
	}
	return NULL;
}

static const char *choices_print(const char *const *choices, char *buf, size_t len)
{
	const char *separator = "";
	size_t used = 0;

	for (; *choices && used < len; choices++) {
		used += (size_t)snprintf(buf + used, len - used, "%s%s", separator, *choices);
		separator = choices[1] && choices[2] ? ", " : " or ";
	}
	return buf;
}

const char *config_setting_expected(const struct config_setting *setting, char *buf, size_t len)
{
	switch (setting->type) {
	case SETTING_CHOICE:
	case SETTING_CHOICE_TEXT: return choices_print(setting->choices, buf, len);
	case SETTING_NUMBER:
		snprintf(buf, len, "a whole number from %u to %u", setting->min, setting->max);
		return buf;
	case SETTING_BOOL: return "true or false";
	case SETTING_TEXT: break;
	}
	return "text in quotes";
}

static int refuse(const struct config_setting *setting, const char *value, char *why, size_t len)
{
	char expected[128];

	snprintf(why, len, "is %.120s, expected %s", value,
		 config_setting_expected(setting, expected, sizeof(expected)));
	return -EINVAL;
}

static void *setting_place(const struct config_setting *setting, struct config *config)
{
	return (char *)config + setting->offset;
}

static int set_copy(const struct config_setting *setting, struct config *config, const char *text,
		    char *why, size_t why_len)
{
	char **place = setting_place(setting, config);
	char *copy = strdup(text);

	if (!copy) {
		snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	free(*place);
	*place = copy;
	return 0;
}

static int set_choice(const struct config_setting *setting, struct config *config, const char *text,
		      char *why, size_t why_len)
{
	char value[96];
	unsigned int i;

	for (i = 0; setting->choices[i]; i++) {
		if (strcmp(setting->choices[i], text) != 0)
			continue;
		if (setting->type == SETTING_CHOICE_TEXT)
			return set_copy(setting, config, text, why, why_len);
		*(unsigned int *)setting_place(setting, config) = i;
		return 0;
	}
	snprintf(value, sizeof(value), "\"%.80s\"", text);
	return refuse(setting, value, why, why_len);
}

static int set_digits(const struct config_setting *setting, struct config *config, const char *text,
		      char *why, size_t why_len)
{
	char value[96];

	/* Ten digits hold every uint32_t and are exact as a double. */
	if (*text && text[strspn(text, "0123456789")] == '\0' && strlen(text) <= 10)
		return config_setting_set_number(setting, config, strtod(text, NULL), why, why_len);
	snprintf(value, sizeof(value), "\"%.80s\"", text);
	return refuse(setting, value, why, why_len);
}

static bool has_control_character(const char *text)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

int config_setting_set_text(const struct config_setting *setting, struct config *config,
			    const char *text, char *why, size_t why_len)
{
	switch (setting->type) {
	case SETTING_CHOICE:
	case SETTING_CHOICE_TEXT: return set_choice(setting, config, text, why, why_len);
	case SETTING_NUMBER: return set_digits(setting, config, text, why, why_len);
	case SETTING_BOOL: return refuse(setting, "text", why, why_len);
	case SETTING_TEXT: break;
	}
	if (!*text && !setting->may_be_empty) {
		snprintf(why, why_len, "is empty, expected a value");
		return -EINVAL;
	}
	if (has_control_character(text)) {
		snprintf(why, why_len, "is \"%.80s\", expected a value without control characters",
			 text);
		return -EINVAL;
	}
	return set_copy(setting, config, text, why, why_len);
}

int config_setting_set_number(const struct config_setting *setting, struct config *config,
			      double number, char *why, size_t why_len)
{
	char value[64];

	if (setting->type == SETTING_NUMBER && number >= setting->min && number <= setting->max &&
	    number == (double)(uint32_t)number) {
		*(uint32_t *)setting_place(setting, config) = (uint32_t)number;
		return 0;
	}
	if (setting->type == SETTING_NUMBER)
		snprintf(value, sizeof(value), "%.15g", number);
	else
		snprintf(value, sizeof(value), "a number");
	return refuse(setting, value, why, why_len);
}

int config_setting_set_bool(const struct config_setting *setting, struct config *config, bool value,
			    char *why, size_t why_len)
{
	if (setting->type != SETTING_BOOL)
		return refuse(setting, value ? "true" : "false", why, why_len);
	*(bool *)setting_place(setting, config) = value;
	return 0;
}
