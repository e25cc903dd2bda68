// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <linux/types.h>

#include <ksplit/control.h>
#include <ksplit/head_event.h>

#include "core/config_address.h"
#include "core/config_error.h"
#include "core/config_identities.h"
#include "core/config_taps.h"

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->leaf_key_type = strdup("P-256");
	config->leaf_cache = 4096;
	config->sign_rate = 1000;
	config->signer_user = strdup("nobody");
	config->verify = VERIFY_MIMIC;
	config->relay = RELAY_AUTO;
	config->ktls = KTLS_AUTO;
	config->sampler = SAMPLER_AUTO;
	config->sampling = (struct config_sampling){
		.attach = ATTACH_AUTO,
		.head_bytes = KSPLIT_HEAD_DEFAULT,
		.ring_bytes = 2U << 20,
		.queue_bytes = 4U << 20,
		.timings = true,
		.processes = true,
	};
	config->metrics = (struct config_metrics){
		.prometheus = strdup(""),
		.otlp_endpoint = strdup(""),
		.otlp_interval = 10000,
		.otlp_timeout = 5000,
		.otlp_queue = 30,
		.max_series = 2000,
		.max_endpoints = 1000,
	};
	config_taps_init(&config->taps);
	capture_init(&config->capture);
	config->access_log_requests = true;
	config->control = strdup(KSPLIT_CONTROL_PATH);
	config->log_level = LOG_LEVEL_INFO;
	config->gcm_records = CONFIG_GCM_RECORDS;
	config->handshakes = 2000;
	config->learned_pass = 3600000;
	config->learned_names = 4096;
	config->sessions = (struct config_sessions){
		.upstream_cache = 4096,
		.upstream_lifetime_s = 300,
		.upstream_tickets = true,
		.client_cache = 4096,
		.client_tickets = true,
		.rotation_s = 3600,
	};
	config->deadlines = (struct config_deadlines){
		.silence = 100,
		.peek = 10000,
		.resolve = 5000,
		.connect = 10000,
		.plain = 30000,
		.upstream_handshake = 10000,
		.client_handshake = 10000,
		.idle = 600000,
		.close = 10000,
		.drain = 30000,
		.upgrade = 30000,
		.upgrade_drain = 3600000,
	};
}

void config_free(struct config *config)
{
	config_identities_free(config);
	free(config->ca_cert);
	free(config->ca_key);
	free(config->leaf_key_type);
	free(config->signer_user);
	free(config->user);
	free(config->upstream_ca);
	upstream_rules_free(&config->upstream);
	tls_policy_free(&config->tls_client);
	tls_policy_free(&config->tls_upstream);
	free(config->metrics.prometheus);
	free(config->metrics.otlp_endpoint);
	config_taps_free(&config->taps);
	capture_free(&config->capture);
	policy_free(&config->policy);
	free(config->control);
	free(config->access_log);
	memset(config, 0, sizeof(*config));
}

struct config *config_new(void)
{
	struct config *config = malloc(sizeof(*config));

	if (config)
		config_init(config);
	return config;
}

void config_delete(struct config *config)
{
	if (!config)
		return;
	config_free(config);
	free(config);
}

/* A listener by itself and against those before it. */
static int check_listener(const struct config *config, size_t index, char *error, size_t error_len)
{
	const struct config_listener *listener = &config->listeners[index];
	char address[96];
	size_t i;

	config_address_print(listener, address, sizeof(address));
	if (listener->destination == DESTINATION_STATIC && !listener->host[0]) {
		config_error_set(error, error_len,
				 "listener %s: no destination, expected --to original, tproxy, "
				 "sni:PORT or HOST:PORT",
				 address);
		return -EINVAL;
	}
	if (listener->incoming && !config->identities_len) {
		config_error_set(error, error_len,
				 "listener %s: is for incoming calls, expected \"identities\" to "
				 "show to its clients",
				 address);
		return -EINVAL;
	}
	for (i = 0; i < index; i++) {
		if (config_address_same(&config->listeners[i], listener)) {
			config_error_set(error, error_len,
					 "listener %s: given twice, expected different addresses",
					 address);
			return -EINVAL;
		}
	}
	for (i = 0; i < config->listeners_len; i++) {
		if (config_address_leads_to(listener, &config->listeners[i])) {
			config_error_set(error, error_len,
					 "listener %s: its destination %s:%u is a listener itself",
					 address, listener->host, listener->port);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_listeners(const struct config *config, char *error, size_t error_len)
{
	size_t i;
	int rc;

	if (config->listeners_len == 0) {
		config_error_set(error, error_len,
				 "\"listeners\": missing, expected at least one in the file, or "
				 "--listen ADDR:PORT --to DESTINATION");
		return -EINVAL;
	}
	for (i = 0; i < config->listeners_len; i++) {
		rc = check_listener(config, i, error, error_len);
		if (rc)
			return rc;
	}
	return 0;
}

/* Then no leaf is ever forged. */
static bool is_incoming_alone(const struct config *config)
{
	for (size_t i = 0; i < config->listeners_len; i++)
		if (!config->listeners[i].incoming)
			return false;
	return config->listeners_len > 0;
}

static int check_ca(const struct config *config, char *error, size_t error_len)
{
	const char *key = !config->ca_cert ? "cert" : !config->ca_key ? "key" : NULL;

	if (!config->ca_cert && !config->ca_key && is_incoming_alone(config))
		return 0;
	if (!key && config->user && strcmp(config->user, config->signer_user) == 0) {
		config_error_set(error, error_len,
				 "\"ca.signer_user\": is \"%.64s\", as \"user\" is; expected "
				 "another, so that the daemon cannot end the signing process",
				 config->user);
		return -EINVAL;
	}
	if (!key)
		return 0;
	config_error_set(error, error_len,
			 "\"ca.%s\": missing, expected a PEM file there or in --ca-%s", key, key);
	return -EINVAL;
}

/* Relays that exist only with kernel TLS, or only without. */
static int check_relay(const struct config *config, char *error, size_t error_len)
{
	const bool kernel = config->relay == RELAY_SPLICE || config->relay == RELAY_COPY;

	if (kernel && config->ktls == KTLS_OFF) {
		config_error_set(
			error, error_len,
			"\"relay\": is %s, which works on kernel TLS, and \"ktls\" is off; "
			"expected relay auto or user, or ktls auto or require",
			config->relay == RELAY_SPLICE ? "splice" : "copy");
		return -EINVAL;
	}
	if (config->relay == RELAY_USER && config->ktls == KTLS_REQUIRE) {
		config_error_set(error, error_len,
				 "\"relay\": is user, which works without kernel TLS, and \"ktls\" "
				 "is require; expected relay auto, splice or copy, or ktls auto or "
				 "off");
		return -EINVAL;
	}
	return 0;
}

/* Paths that are used again after a daemon has left the folder and the terminal it was started in.
 */
static int check_paths(const struct config *config, char *error, size_t error_len)
{
	const struct sockaddr_un *un = NULL;

	if (strlen(config->control) >= sizeof(un->sun_path)) {
		config_error_set(error, error_len,
				 "\"control\": is %zu bytes long, expected at most %zu (unix(7))",
				 strlen(config->control), sizeof(un->sun_path) - 1);
		return -EINVAL;
	}
	if (config->foreground)
		return 0;
	if (config->control[0] && config->control[0] != '/') {
		config_error_set(error, error_len,
				 "\"control\": is \"%s\", expected an absolute path, or "
				 "--foreground",
				 config->control);
		return -EINVAL;
	}
	if (config->access_log && config->access_log[0] != '/') {
		config_error_set(error, error_len,
				 "\"access_log\": is \"%s\", expected an absolute path, or "
				 "--foreground",
				 config->access_log);
		return -EINVAL;
	}
	return 0;
}

/* The address of the metrics port; the same syntax as a listener's. */
static int check_prometheus(const struct config *config, char *error, size_t error_len)
{
	struct config_listener listener = {0};
	const char *why;

	if (!config->metrics.prometheus[0] ||
	    !config_address_parse_listen(config->metrics.prometheus, &listener, &why))
		return 0;
	config_error_set(error, error_len, "\"metrics.prometheus\": is \"%.256s\", %s",
			 config->metrics.prometheus, why);
	return -EINVAL;
}

static bool is_http_url(const char *text)
{
	static const char *const schemes[] = {"http://", "https://"};
	size_t i, len;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		len = strlen(schemes[i]);
		if (strncmp(text, schemes[i], len) == 0)
			return text[len] && text[len] != '/' && !strchr(text, ' ');
	}
	return false;
}

static int check_otlp(const struct config *config, char *error, size_t error_len)
{
	const char *endpoint = config->metrics.otlp_endpoint;

	if (!endpoint[0] || is_http_url(endpoint))
		return 0;
	config_error_set(error, error_len,
			 "\"metrics.otlp.endpoint\": is \"%.256s\", expected http://HOST:PORT/PATH "
			 "or https://HOST:PORT/PATH",
			 endpoint);
	return -EINVAL;
}

/* A rule that could never match would leave a process unprotected that somebody relies on. */
static int check_pass(const struct config *config, char *error, size_t error_len)
{
	if (!config->user || !policy_names_processes(&config->policy))
		return 0;
	config_error_set(error, error_len,
			 "\"pass\": a rule has \"process\", which takes the sight of other users' "
			 "processes that ksplitd gives up with \"user\"; leave one of them out");
	return -EINVAL;
}

int config_check(const struct config *config, char *error, size_t error_len)
{
	int rc;

	if (!config->control || !config->leaf_key_type || !config->signer_user ||
	    !config->metrics.prometheus || !config->metrics.otlp_endpoint ||
	    !config->capture.table || !config->capture.cgroup_folder) {
		config_error_set(error, error_len, "out of memory");
		return -ENOMEM;
	}
	rc = check_listeners(config, error, error_len);
	if (rc == 0)
		rc = check_ca(config, error, error_len);
	if (rc == 0)
		rc = check_relay(config, error, error_len);
	if (rc == 0)
		rc = check_paths(config, error, error_len);
	if (rc == 0)
		rc = check_prometheus(config, error, error_len);
	if (rc == 0)
		rc = check_otlp(config, error, error_len);
	if (rc == 0)
		rc = check_pass(config, error, error_len);
	if (rc == 0)
		rc = config_taps_check(&config->taps, error, error_len);
	return rc;
}
