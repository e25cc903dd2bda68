// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/server.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/capture_hook.h"
#include "core/launcher.h"
#include "core/learned_pass.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/observation.h"
#include "core/overload.h"
#include "core/pass_list.h"
#include "core/service.h"
#include "core/status.h"
#include "pki/forge.h"

/* Two sockets; intercepted, in the worst moment a third: half a pipe. */
#define DESCRIPTORS_RAW		2
#define DESCRIPTORS_INTERCEPTED 3
/* Names of calls that were passed, for status. */
#define PASSES_LISTED 1000

static size_t cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (size_t)CPU_COUNT(&set);
}

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/*
 * How many connections there may be, and how many of them intercepted: beyond that new ones are
 * passed raw as long as there is a descriptor for each side, and then wait.
 */
static int set_limits(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->config;
	const size_t descriptors = overload_descriptors();
	const struct overload_limits limits = {
		.intercepted = overload_share(at_least_one(descriptors / DESCRIPTORS_INTERCEPTED),
					      server->workers_len),
		.handshakes = overload_share(config->handshakes, server->workers_len),
		.memory = (uint64_t)config->memory << 20,
	};

	server->max_connections = at_least_one(descriptors / DESCRIPTORS_RAW);
	if (config->max_connections && config->max_connections < server->max_connections)
		server->max_connections = config->max_connections;
	for (size_t i = 0; i < server->workers_len; i++)
		server->workers[i].conns_max =
			overload_share(server->max_connections, server->workers_len);
	snprintf(error, error_len, "cannot watch the memory of this process");
	return overload_new(&limits, &server->overload);
}

static int make_lists(struct server *server)
{
	const struct config *config = server->config;
	int err = pass_list_new(PASSES_LISTED, &server->passes);

	if (!err)
		err = pass_list_new(POLICY_MAX_RULES, &server->rule_counts);
	if (!err)
		err = learned_pass_new(config->learned_pass, config->learned_names,
				       &server->learned);
	return err;
}

static int load_ca(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->config;
	int err = ca_load(config->ca_cert, &server->ca, error, error_len);

	if (err)
		return err;
	snprintf(error, error_len, "cannot make a leaf key");
	return forge_make_key(config->leaf_key_type, &server->leaf_key);
}

/* The CA's key is read there and never here. */
static int start_signer(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->config;
	const struct signer_options options = {
		.ca = server->ca,
		.cert_file = config->ca_cert,
		.key_file = config->ca_key,
		.user = config->signer_user,
		.rate = config->sign_rate,
		.dies_with_parent = config->foreground,
	};
	int err = signer_start(&options, &server->signer, error, error_len);

	if (err)
		return err;
	snprintf(error, error_len, "out of memory");
	return leaf_cache_new(server->ca, server->signer, server->leaf_key, config->leaf_cache,
			      &server->leaf_cache);
}

/* Does the key fit? In a process that serves nobody. */
static int check_key(const struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->config;
	EVP_PKEY *key = NULL;
	int err = ca_load_key(config->ca_key, config->ca_cert, server->ca->cert, &key, error,
			      error_len);

	EVP_PKEY_free(key);
	return err;
}

static int make_tls(struct server *server, char *error, size_t error_len)
{
	const struct tls_context_options options = {
		.upstream_ca = server->config->upstream_ca,
		.verify_upstream = server->config->verify != VERIFY_OFF,
		.leaf_key = server->leaf_key,
		.ca_cert = server->ca->cert,
		.ca_chain = server->ca->chain,
	};

	return tls_context_new(&options, &server->tls, error, error_len);
}

static void probe_kernel(struct server *server)
{
	int err = ktls_probe(&server->ktls);

	if (err)
		log_warn("cannot probe kernel TLS: %s", strerror(-err));
	if (server->config->ktls == KTLS_OFF)
		log_info("kernel TLS is switched off in the configuration");
	else if (server->ktls.ulp)
		log_info("kernel TLS is there%s", server->ktls.rekey ? ", with key updates" : "");
	else
		log_warn("this kernel has no TLS ULP (%s): all connections stay in user space%s",
			 strerror(server->ktls.ulp_errno),
			 server->config->ktls == KTLS_REQUIRE
				 ? "; ktls is set to require, so every one will be closed"
				 : "");
}

/* Port 0: the first worker's socket chose; the others share that choice. */
static void learn_ports(struct server *server, const struct worker *first)
{
	for (size_t i = 0; i < first->listeners_len; i++) {
		struct config_listener *listener = &server->listeners[i];
		socklen_t len = sizeof(listener->address);
		union conn_address address = {0};
		char name[64];

		getsockname(first->listeners[i].fd, &listener->address.sa, &len);
		memcpy(&address, &listener->address, sizeof(address));
		log_info("listening on %s",
			 conn_address_print(&address, name, sizeof(name)));
	}
}

static int make_workers(struct server *server, char *error, size_t error_len)
{
	size_t count = server->config->workers ? server->config->workers : cpu_count();

	server->workers = calloc(count, sizeof(*server->workers));
	if (!server->workers)
		return -ENOMEM;
	server->workers_len = count;
	for (size_t i = 0; i < server->listeners_len; i++) {
		int err = listener_check_free(&server->listeners[i], error, error_len);

		if (err)
			return err;
	}
	for (server->workers_ready = 0; server->workers_ready < count; server->workers_ready++) {
		struct worker *worker = &server->workers[server->workers_ready];
		int err = worker_init(worker, server, (unsigned int)server->workers_ready, error,
				      error_len);

		if (err) {
			server->workers_ready++; /* half made is freed like whole */
			return err;
		}
		if (server->workers_ready == 0)
			learn_ports(server, worker);
	}
	return 0;
}

int server_init(struct server *server, const struct config *config, char *error, size_t error_len)
{
	struct timespec now;
	int err;

	memset(server, 0, sizeof(*server));
	server->config = config;
	server->listeners_len = config->listeners_len;
	memcpy(server->listeners, config->listeners, sizeof(server->listeners));
	clock_gettime(CLOCK_REALTIME, &now);
	server->start_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	err = load_ca(server, error, error_len);
	if (!err)
		err = start_signer(server, error, error_len);
	if (!err)
		err = make_tls(server, error, error_len);
	if (!err)
		err = service_load(server, error, error_len);
	if (!err)
		err = service_check_transparent(server, error, error_len);
	if (err)
		return err;
	err = own_sockets_new(&server->own_sockets);
	if (!err)
		err = make_lists(server);
	if (err)
		return err;
	probe_kernel(server);
	return make_workers(server, error, error_len);
}

int server_check(const struct config *config, char *error, size_t error_len)
{
	struct server server = {.config = config};
	int err = load_ca(&server, error, error_len);

	if (!err)
		err = check_key(&server, error, error_len);
	if (!err)
		err = make_tls(&server, error, error_len);
	if (!err)
		err = service_load(&server, error, error_len);
	server_destroy(&server);
	return err;
}

static int start_services(struct server *server, char *error, size_t error_len)
{
	const struct config *config = server->config;
	struct control_source source;
	int err;

	snprintf(error, error_len, "cannot start a thread");
	err = signer_listen(server->signer);
	if (err)
		return err;
	if (config->access_log) {
		snprintf(error, error_len, "access log %s", config->access_log);
		err = access_log_open(config->access_log, &server->access_log);
		if (err)
			return err;
	}
	err = observation_start(server, error, error_len);
	if (err)
		return err;
	snprintf(error, error_len, "cannot start the resolver");
	err = resolver_new(&server->resolver);
	if (err)
		return err;
	/* Before the workers and the control socket look at it; the listeners are listening. */
	snprintf(error, error_len, "capture by connect hook");
	err = capture_hook_start(server);
	if (err || !config->control || !config->control[0])
		return err;
	status_source(server, &source);
	snprintf(error, error_len, "control socket %s", config->control);
	return control_open(config->control, &source, &server->control);
}

int server_start(struct server *server, char *error, size_t error_len)
{
	/* Its process first: it has none of the threads' memory then. */
	int err = capturing_new(server, &server->capturing, error, error_len);

	if (!err)
		err = start_services(server, error, error_len);
	if (!err)
		err = set_limits(server, error, error_len);
	if (err) {
		size_t used = strlen(error);

		snprintf(error + used, error_len - used, ": %s", strerror(-err));
		return err;
	}
	snprintf(error, error_len, "cannot start a worker thread");
	for (size_t i = 0; !err && i < server->workers_len; i++)
		err = worker_start(&server->workers[i]);
	if (!err)
		capturing_begin(server->capturing);
	return err;
}

void server_drain(struct server *server)
{
	atomic_store(&server->draining, true);
	capture_hook_stop(server);
	/* Nobody may be led to a listener that is closed. */
	capturing_end(server->capturing);
	for (size_t i = 0; i < server->workers_len; i++)
		worker_drain(&server->workers[i]);
}

void server_stop(struct server *server)
{
	for (size_t i = 0; i < server->workers_ready; i++)
		if (server->workers[i].thread_started)
			worker_stop(&server->workers[i]);
}

bool server_ended(const struct server *server)
{
	for (size_t i = 0; i < server->workers_len; i++)
		if (!atomic_load(&server->workers[i].ended))
			return false;
	return true;
}

void server_destroy(struct server *server)
{
	capture_hook_stop(server);
	capturing_end(server->capturing);
	server_stop(server);
	/* First those that look at workers, then the workers, then what workers use. */
	control_close(server->control);
	for (size_t i = 0; i < server->workers_ready; i++)
		worker_join(&server->workers[i]);
	resolver_free(server->resolver);
	/* What is on its way to it comes back to the workers as a post. */
	signer_stop(server->signer);
	/* The last export tells of the last requests. */
	observer_stop(server->observer);
	observation_stop_exports(server);
	observer_free(server->observer);
	server->observer = NULL;
	for (size_t i = 0; i < server->workers_ready; i++)
		worker_destroy(&server->workers[i]);
	free(server->workers);
	capture_hook_free(server);
	capturing_free(server->capturing);
	launcher_stop(server->launcher);
	own_sockets_free(server->own_sockets);
	overload_free(server->overload);
	learned_pass_free(server->learned);
	pass_list_free(server->passes);
	pass_list_free(server->rule_counts);
	access_log_close(server->access_log);
	tls_context_free(server->tls);
	identity_store_free(server->identities);
	leaf_cache_free(server->leaf_cache);
	EVP_PKEY_free(server->leaf_key);
	ca_free(server->ca);
}

enum ksplit_reason server_ktls_reason(const struct server *server)
{
	if (server->config->relay == RELAY_USER)
		return KSPLIT_KTLS_RELAY_USER;
	if (server->config->ktls == KTLS_OFF)
		return KSPLIT_KTLS_OFF;
	return server->ktls.ulp ? KSPLIT_NONE : KSPLIT_KTLS_NOT_IN_KERNEL;
}

/* --- is it us? --- */

static uint16_t port_of(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6
		       ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
		       : ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

/* The IP address as 16 bytes, IPv4 mapped (RFC 4291 2.5.5.2). */
static void ip_of(const struct sockaddr *address, uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->sa_family == AF_INET6) {
		memcpy(ip, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
		return;
	}
	memcpy(ip, mapped, 12);
	memcpy(ip + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
}

static bool same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
	uint8_t ip_a[16], ip_b[16];

	ip_of(a, ip_a);
	ip_of(b, ip_b);
	return !memcmp(ip_a, ip_b, sizeof(ip_a));
}

static bool is_loopback(const struct sockaddr *address)
{
	static const uint8_t net127[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	uint8_t ip[16];

	ip_of(address, ip);
	return !memcmp(ip, net127, sizeof(net127));
}

static bool is_any(const struct sockaddr *address)
{
	static const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
	static const struct sockaddr_in any4 = {.sin_family = AF_INET};

	return same_ip(address, (const struct sockaddr *)&any6) ||
	       same_ip(address, (const struct sockaddr *)&any4);
}

/* Only asked when the port is one of ours, which is rare. */
static bool is_local(const struct sockaddr *address)
{
	struct ifaddrs *all;
	bool found = is_loopback(address) || is_any(address);

	if (found || getifaddrs(&all))
		return found;
	for (struct ifaddrs *ifa = all; ifa && !found; ifa = ifa->ifa_next)
		found = ifa->ifa_addr &&
			(ifa->ifa_addr->sa_family == AF_INET ||
			 ifa->ifa_addr->sa_family == AF_INET6) &&
			same_ip(address, ifa->ifa_addr);
	freeifaddrs(all);
	return found;
}

bool server_is_self(const struct server *server, const struct sockaddr *address)
{
	for (size_t i = 0; i < server->listeners_len; i++) {
		const struct sockaddr *own = &server->listeners[i].address.sa;

		if (port_of(own) != port_of(address))
			continue;
		if (is_any(own) || is_any(address) ? is_local(address) : same_ip(own, address))
			return true;
	}
	return false;
}
