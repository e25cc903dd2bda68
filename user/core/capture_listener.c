// SPDX-License-Identifier: GPL-2.0-or-later
/* Which listeners captured connections are led to. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/capture_value.h"
#include "core/config_address.h"
#include "core/config_capture.h"
#include "core/config_error.h"
#include "observe/cgroup.h"

/* Where nft looks for cgroups; it knows no other place (libnftables, src/datatype.c). */
#define CGROUP_FOLDER "/sys/fs/cgroup"

static const char *const kind_names[CAPTURE_KINDS] = {"outgoing", "incoming", "forwarded", "hook"};

/* One part on its way. */
struct resolver {
	struct config *config;
	struct capture_part *part;
	enum capture_kind kind;
	const char *path;
	char *error;
	size_t error_len;
};

static int fail(const struct resolver *on, size_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "FILE:LINE: "capture.KIND.": ..." */
static int fail(const struct resolver *on, size_t line, const char *fmt, ...)
{
	char message[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	config_error_set(on->error, on->error_len, "%s:%zu: \"capture.%s.%s", on->path, line,
			 kind_names[on->kind], message);
	return -EINVAL;
}

static bool is_wildcard(const struct config_listener *listener)
{
	return listener->address.sa.sa_family == AF_INET6
		       ? IN6_IS_ADDR_UNSPECIFIED(&listener->address.in6.sin6_addr)
		       : listener->address.in.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* ::1, or any of 127.0.0.0/8. */
static bool is_loopback(const struct config_listener *listener)
{
	return listener->address.sa.sa_family == AF_INET6
		       ? IN6_IS_ADDR_LOOPBACK(&listener->address.in6.sin6_addr)
		       : ntohl(listener->address.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Where REDIRECT leads what this host sends (nf_nat_redirect_ipv4,
 * net/netfilter/nf_nat_redirect.c). */
static bool is_redirect_target(const struct config_listener *listener)
{
	return listener->address.sa.sa_family == AF_INET6
		       ? is_loopback(listener)
		       : listener->address.in.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
}

static enum destination_kind wanted_destination(const struct resolver *on)
{
	return on->part->method == CAPTURE_TPROXY ? DESTINATION_TPROXY : DESTINATION_ORIGINAL;
}

/* NULL, or why no connection of this kind can reach that address. */
static const char *unreachable(const struct resolver *on, const struct config_listener *listener)
{
	bool link_local = listener->address.sa.sa_family == AF_INET6 &&
			  IN6_IS_ADDR_LINKLOCAL(&listener->address.in6.sin6_addr);

	if (link_local)
		return "rules cannot lead to a link-local address; expected [::], or another "
		       "address";
	if (on->kind == CAPTURE_HOOK || on->part->method == CAPTURE_TPROXY || is_wildcard(listener))
		return NULL;
	if (on->kind == CAPTURE_OUTGOING)
		return is_redirect_target(listener)
			       ? NULL
			       : "this host's own calls are led to 127.0.0.1 and ::1; expected "
				 "these, 0.0.0.0 or [::]";
	return is_loopback(listener)
		       ? "the kernel drops what comes from elsewhere for a loopback address; "
			 "expected 0.0.0.0, [::] or an address of this host"
		       : NULL;
}

static void take(struct capture_part *part, const struct config_listener *listener)
{
	union capture_address *address =
		listener->address.sa.sa_family == AF_INET6 ? &part->listener6 : &part->listener;

	memcpy(address, &listener->address, sizeof(*address));
}

static void print_named(const union capture_address *address, char *buf, size_t len)
{
	struct config_listener listener = {.destination = DESTINATION_STATIC};

	memcpy(&listener.address, address, sizeof(*address));
	config_address_print(&listener, buf, len);
}

static const struct config_listener *find_named(const struct config *config,
						const union capture_address *address)
{
	struct config_listener wanted = {.destination = DESTINATION_STATIC};

	memcpy(&wanted.address, address, sizeof(*address));
	for (size_t i = 0; i < config->listeners_len; i++) {
		if (config_address_same(&config->listeners[i], &wanted))
			return &config->listeners[i];
	}
	return NULL;
}

static int take_named(const struct resolver *on, const union capture_address *address)
{
	const struct config_listener *listener = find_named(on->config, address);
	const char *why;
	char name[96];

	print_named(address, name, sizeof(name));
	if (!listener)
		return fail(on, on->part->listener_line,
			    "listener\": is \"%s\", expected the address of a listener", name);
	if (listener->destination != wanted_destination(on))
		return fail(on, on->part->listener_line,
			    "listener\": is \"%s\", which does not lead to \"%s\"; expected one "
			    "that does",
			    name, on->part->method == CAPTURE_TPROXY ? "tproxy" : "original");
	if (listener->incoming && on->kind == CAPTURE_OUTGOING)
		return fail(on, on->part->listener_line,
			    "listener\": is \"%s\", which shows the identities of this host's "
			    "services; expected one for outgoing calls",
			    name);
	why = unreachable(on, listener);
	if (why)
		return fail(on, on->part->listener_line, "listener\": is \"%s\": %s", name, why);
	take(on->part, listener);
	return 0;
}

/* The first that fits, for each family, of those for incoming calls or of the others. */
static void take_fitting(const struct resolver *on, bool incoming)
{
	const struct config_listener *listener;

	for (size_t i = on->config->listeners_len; i-- > 0;) {
		listener = &on->config->listeners[i];
		/* The port is the same at this place for both families. */
		if (listener->address.in.sin_port && listener->incoming == incoming &&
		    listener->destination == wanted_destination(on) && !unreachable(on, listener))
			take(on->part, listener);
	}
}

/*
 * A service is shown with its own identity where there is a listener that does so; the calls of
 * others never are led to such a one, unless it is named.
 */
static void take_default(const struct resolver *on)
{
	take_fitting(on, on->kind == CAPTURE_INCOMING);
	if (on->kind == CAPTURE_INCOMING && !on->part->listener.sa.sa_family &&
	    !on->part->listener6.sa.sa_family)
		take_fitting(on, false);
}

static int fail_none(const struct resolver *on)
{
	const char *to = on->part->method == CAPTURE_TPROXY ? "tproxy" : "original";
	const char *where = on->kind == CAPTURE_OUTGOING ? "127.0.0.1, [::1], 0.0.0.0 or [::]"
			    : on->kind == CAPTURE_HOOK || on->part->method == CAPTURE_TPROXY
				    ? "any address"
				    : "0.0.0.0, [::] or an address of this host";

	return fail(on, on->part->line,
		    "listener\": missing, and no listener fits: expected one that leads to \"%s\", "
		    "on %s, with a port other than 0",
		    to, where);
}

/* Networks of a family that has no listener would silently not be captured. */
static int check_families(const struct resolver *on, const struct capture_networks *networks,
			  const char *name)
{
	const struct capture_part *part = on->part;
	sa_family_t family;

	for (size_t i = 0; i < networks->len; i++) {
		family = networks->list[i].family;
		if ((family == AF_INET6 ? &part->listener6 : &part->listener)->sa.sa_family)
			continue;
		return fail(on, on->part->line,
			    "%s\": has %s, for which no listener fits; expected one on an %s "
			    "address that leads to \"%s\"",
			    name, family == AF_INET6 ? "IPv6" : "IPv4",
			    family == AF_INET6 ? "IPv6" : "IPv4",
			    part->method == CAPTURE_TPROXY ? "tproxy" : "original");
	}
	return 0;
}

static bool is_transparent(const struct resolver *on, const union capture_address *address)
{
	const struct config_listener *listener =
		address->sa.sa_family ? find_named(on->config, address) : NULL;

	return listener && listener->client_address == CLIENT_ADDRESS_TRANSPARENT;
}

static int resolve_part(const struct resolver *on)
{
	struct capture_part *part = on->part;
	int rc = 0;

	memset(&part->listener, 0, sizeof(part->listener));
	memset(&part->listener6, 0, sizeof(part->listener6));
	for (size_t i = 0; i < part->named_len && rc == 0; i++)
		rc = take_named(on, &part->named[i]);
	if (rc)
		return rc;
	if (part->named_len == 0)
		take_default(on);
	if (!part->listener.sa.sa_family && !part->listener6.sa.sa_family)
		return fail_none(on);
	part->transparent =
		is_transparent(on, &part->listener) || is_transparent(on, &part->listener6);
	rc = check_families(on, &part->match.networks, "networks");
	if (rc == 0)
		rc = check_families(on, &part->match.sources, "sources");
	return rc;
}

/* Ports that no rule may capture on this host. */
static int resolve_own_ports(struct config *config)
{
	struct capture_ports *ports = &config->capture.own_ports;
	uint16_t port;
	int rc = 0;

	ports->len = 0;
	for (size_t i = 0; i < config->listeners_len && rc == 0; i++) {
		port = ntohs(config->listeners[i].address.in.sin_port);
		if (port)
			rc = capture_value_add_port(ports, port);
	}
	return rc;
}

/* Rules name cgroups as nft finds them. */
static int resolve_cgroups(const struct resolver *on)
{
	struct capture *capture = &on->config->capture;
	const size_t len = strlen(CGROUP_FOLDER);
	char mount[PATH_MAX] = "", *folder;

	if (!on->part->match.cgroups.len && !on->part->exempt.cgroups.len)
		return 0;
	if (cgroup_find_mount(mount))
		return fail(on, on->part->line,
			    "cgroups\": this host has no cgroup2 file system; expected one "
			    "below " CGROUP_FOLDER);
	if (strncmp(mount, CGROUP_FOLDER, len) != 0 || (mount[len] && mount[len] != '/'))
		return fail(on, on->part->line,
			    "cgroups\": the cgroup2 file system is at %.256s; expected it "
			    "below " CGROUP_FOLDER ", where nft looks for it",
			    mount);
	if (asprintf(&folder, "%s%s", mount + len + (mount[len] == '/'),
		     mount[len] == '/' ? "/" : "") < 0)
		return -ENOMEM;
	free(capture->cgroup_folder);
	capture->cgroup_folder = folder;
	return 0;
}

int config_capture_resolve(struct config *config, const char *path, char *error, size_t error_len)
{
	struct resolver on = {
		.config = config, .path = path, .error = error, .error_len = error_len};
	int rc = resolve_own_ports(config);

	for (size_t i = 0; i < CAPTURE_KINDS && rc == 0; i++) {
		on.kind = (enum capture_kind)i;
		on.part = &config->capture.parts[i];
		if (!on.part->given)
			continue;
		rc = resolve_part(&on);
		if (rc == 0 && i != CAPTURE_HOOK)
			rc = resolve_cgroups(&on);
	}
	if (rc == -ENOMEM)
		config_error_set(error, error_len, "out of memory");
	return rc;
}
