// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/capture_value.h"

#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "core/capture_network.h"

#define MAX_PORTS    64
#define MAX_NETWORKS 256
#define MAX_NAMES    64
#define MAX_UID      4294967294U /* (uid_t)-1 means "no user" to setreuid(2) and others */

static int out_of_memory(struct config_reader *reader, const char *key)
{
	config_reader_fail(reader, "\"%s\": out of memory", key);
	return -ENOMEM;
}

/* An empty list would leave open whether it means nothing or everything. */
static int read_list(struct config_reader *reader, const cJSON *value, const char *key, size_t max,
		     config_reader_fn *read, void *out)
{
	if (cJSON_IsArray(value) && !value->child)
		return config_reader_fail(
			reader, "\"%s\": is an empty list, expected at least one, or no such key",
			key);
	return config_reader_list(reader, value, key, max, read, out);
}

int capture_value_add_port(struct capture_ports *ports, uint16_t port)
{
	uint16_t *list;
	size_t at = 0;

	while (at < ports->len && ports->list[at] < port)
		at++;
	if (at < ports->len && ports->list[at] == port)
		return 0;
	list = reallocarray(ports->list, ports->len + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	memmove(list + at + 1, list + at, (ports->len - at) * sizeof(*list));
	list[at] = port;
	ports->list = list;
	ports->len++;
	return 0;
}

static int read_port(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	uint32_t port;
	int rc = config_reader_number(reader, value, key, 1, 65535, &port);

	if (rc)
		return rc;
	return capture_value_add_port(out, (uint16_t)port) ? out_of_memory(reader, key) : 0;
}

int capture_value_read_ports(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	return read_list(reader, value, key, MAX_PORTS, read_port, out);
}

static int read_network(struct config_reader *reader, const cJSON *value, const char *key,
			void *out)
{
	struct capture_network network;
	char why[160];
	const char *text;
	int rc;

	rc = config_reader_text(reader, value, key, &text);
	if (rc)
		return rc;
	if (capture_network_parse(text, &network, why, sizeof(why)))
		return config_reader_fail(reader, "\"%s\": is \"%.64s\", %s", key, text, why);
	return capture_network_add(out, &network) ? out_of_memory(reader, key) : 0;
}

int capture_value_read_networks(struct config_reader *reader, const cJSON *value, const char *key,
				void *out)
{
	return read_list(reader, value, key, MAX_NETWORKS, read_network, out);
}

static int add_user(struct capture_users *users, uid_t uid)
{
	uid_t *list;
	size_t at = 0;

	while (at < users->len && users->list[at] < uid)
		at++;
	if (at < users->len && users->list[at] == uid)
		return 0;
	list = reallocarray(users->list, users->len + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	memmove(list + at + 1, list + at, (users->len - at) * sizeof(*list));
	list[at] = uid;
	users->list = list;
	users->len++;
	return 0;
}

/* As chown(1) does: a name, and only when nobody has it a number. 0, -ENOENT or -errno. */
static int find_user(const char *name, uint32_t *uid)
{
	char buf[16384];
	struct passwd entry, *found = NULL;
	unsigned long long number;
	int err;

	err = getpwnam_r(name, &entry, buf, sizeof(buf), &found);
	if (found) {
		*uid = entry.pw_uid;
		return 0;
	}
	if (strspn(name, "0123456789") == strlen(name) && strlen(name) <= 10) {
		number = strtoull(name, NULL, 10);
		*uid = (uint32_t)number;
		return number <= MAX_UID ? 0 : -ENOENT;
	}
	/* "Not found" has several names (getpwnam(3)); these are real trouble. */
	return err == EIO || err == EMFILE || err == ENFILE || err == ENOMEM || err == ERANGE
		       ? -err
		       : -ENOENT;
}

static int read_user(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const char *name = value->valuestring;
	uint32_t uid;
	int rc;

	if (cJSON_IsNumber(value)) {
		rc = config_reader_number(reader, value, key, 0, MAX_UID, &uid);
		if (rc)
			return rc;
	} else if (!cJSON_IsString(value) || !*name) {
		return config_reader_fail(
			reader, "\"%s\": is %s, expected a user's name or number", key,
			cJSON_IsString(value) ? "empty" : config_reader_type_name(value));
	} else {
		rc = find_user(name, &uid);
		if (rc == -ENOENT)
			return config_reader_fail(reader,
						  "\"%s\": is \"%.64s\", expected a user of this "
						  "host (getent passwd) or a number",
						  key, name);
		if (rc)
			return config_reader_fail(reader,
						  "\"%s\": is \"%.64s\", which cannot be looked "
						  "up: %s; a number works without",
						  key, name, strerror(-rc));
	}
	return add_user(out, uid) ? out_of_memory(reader, key) : 0;
}

int capture_value_read_users(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	return read_list(reader, value, key, MAX_NAMES, read_user, out);
}

static int add_name(struct config_reader *reader, const char *key, struct capture_names *names,
		    const char *name)
{
	char **list;
	size_t i;

	for (i = 0; i < names->len; i++) {
		if (strcmp(names->list[i], name) == 0)
			return 0;
	}
	list = reallocarray(names->list, names->len + 1, sizeof(*list));
	if (!list)
		return out_of_memory(reader, key);
	names->list = list;
	list[names->len] = strdup(name);
	if (!list[names->len])
		return out_of_memory(reader, key);
	names->len++;
	return 0;
}

/* Printable ASCII; quotes would end a name in nft's language, which has no way to escape them. */
static bool is_quotable(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e || *text == '"')
			return false;
	}
	return true;
}

/* "a", "a/b": no empty part, none that is "." or "..". */
static bool is_cgroup_path(const char *path)
{
	size_t len;

	if (strlen(path) > 1000 || !is_quotable(path))
		return false;
	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (len == 0 || len > 255 || (len == 1 && *path == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (!path[len])
			return true;
	}
}

static int read_cgroup(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const char *text, *path;
	int rc;

	rc = config_reader_text(reader, value, key, &text);
	if (rc)
		return rc;
	/* As /proc/PID/cgroup and systemctl have it. */
	path = text + (*text == '/');
	if (!is_cgroup_path(path))
		return config_reader_fail(reader,
					  "\"%s\": is \"%.128s\", expected a cgroup's path below "
					  "the root, as \"system.slice/app.service\"",
					  key, text);
	return add_name(reader, key, out, path);
}

int capture_value_read_cgroups(struct config_reader *reader, const cJSON *value, const char *key,
			       void *out)
{
	return read_list(reader, value, key, MAX_NAMES, read_cgroup, out);
}

/* What dev_valid_name() (net/core/dev.c) allows, but for what nft's language takes as its own. */
static bool is_interface(const char *name)
{
	return strlen(name) < IFNAMSIZ && is_quotable(name) && !strpbrk(name, " /:*") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_interface(struct config_reader *reader, const cJSON *value, const char *key,
			  void *out)
{
	const char *name;
	int rc;

	rc = config_reader_text(reader, value, key, &name);
	if (rc)
		return rc;
	if (!is_interface(name))
		return config_reader_fail(reader,
					  "\"%s\": is \"%.64s\", expected an interface's name of "
					  "at most %d letters",
					  key, name, IFNAMSIZ - 1);
	return add_name(reader, key, out, name);
}

int capture_value_read_interfaces(struct config_reader *reader, const cJSON *value, const char *key,
				  void *out)
{
	return read_list(reader, value, key, MAX_NAMES, read_interface, out);
}

/* systemd.unit(5): the types of unit that have processes, and the letters of a unit's name. */
static bool is_unit(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\@";
	const char *dot = strrchr(name, '.');

	return dot && dot > name && strlen(name) <= 255 && !name[strspn(name, letters)] &&
	       (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0 ||
		strcmp(dot, ".slice") == 0);
}

static int read_unit(struct config_reader *reader, const cJSON *value, const char *key, void *out)
{
	const char *name;
	int rc;

	rc = config_reader_text(reader, value, key, &name);
	if (rc)
		return rc;
	if (!is_unit(name))
		return config_reader_fail(reader,
					  "\"%s\": is \"%.128s\", expected a systemd unit's name "
					  "that ends in .service, .scope or .slice",
					  key, name);
	return add_name(reader, key, out, name);
}

int capture_value_read_units(struct config_reader *reader, const cJSON *value, const char *key,
			     void *out)
{
	return read_list(reader, value, key, MAX_NAMES, read_unit, out);
}
