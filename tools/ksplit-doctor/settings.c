// SPDX-License-Identifier: GPL-2.0-or-later
#include "settings.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ksplit/control.h>

#define FILE_MAX     (1024 * 1024)
#define RING_DEFAULT (2 * 1024 * 1024)
#define PORT_DEFAULT 443

static int file_read(const char *path, char **text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	*text = calloc(1, FILE_MAX + 1);
	if (!*text)
		rc = -ENOMEM;
	while (!rc && n > 0 && len < FILE_MAX) {
		n = read(fd, *text + len, FILE_MAX - len);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		else if (n > 0)
			len += (size_t)n;
	}
	close(fd);
	if (!rc && len == FILE_MAX)
		rc = -EFBIG;
	if (rc) {
		free(*text);
		*text = NULL;
	}
	return rc;
}

/* A member's text into `out`, which keeps its default when there is none. */
static void take_text(const cJSON *object, const char *name, char *out)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);

	if (cJSON_IsString(value))
		snprintf(out, SETTINGS_TEXT, "%s", value->valuestring);
}

static const cJSON *section(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void add_ports(struct settings *settings, double first, double last)
{
	if (settings->ports_len == SETTINGS_PORTS || first < 1 || last > 65535 || last < first)
		return;
	settings->ports[settings->ports_len++] =
		(struct settings_ports){(uint16_t)first, (uint16_t)last};
}

/* 443, "443" or "8000-8999". */
static void take_port(struct settings *settings, const cJSON *value)
{
	unsigned int first, last;
	int n;

	if (cJSON_IsNumber(value)) {
		add_ports(settings, value->valuedouble, value->valuedouble);
	} else if (cJSON_IsString(value)) {
		n = sscanf(value->valuestring, "%5u-%5u", &first, &last);
		if (n >= 1)
			add_ports(settings, first, n == 2 ? last : first);
	}
}

/* Rules that ksplit sets: "outgoing", "incoming", "forwarded"; the hook sets none. */
static void take_capture(struct settings *settings, const cJSON *capture)
{
	static const char *const kinds[] = {"outgoing", "incoming", "forwarded"};
	const cJSON *kind, *ports, *port;

	take_text(capture, "table", settings->table);
	settings->hooks = cJSON_IsObject(section(capture, "hook"));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		kind = section(capture, kinds[i]);
		if (!cJSON_IsObject(kind))
			continue;
		settings->captures = true;
		ports = section(kind, "ports");
		if (!cJSON_GetArraySize(ports)) /* none, or an empty list */
			add_ports(settings, PORT_DEFAULT, PORT_DEFAULT);
		cJSON_ArrayForEach(port, ports)
		{
			take_port(settings, port);
		}
	}
}

static void take_listeners(struct settings *settings, const cJSON *list)
{
	const cJSON *listener;
	const char *direction;
	struct settings_listener *to;

	if (!cJSON_IsArray(list))
		return;
	settings->incoming_alone = cJSON_GetArraySize(list) > 0;
	cJSON_ArrayForEach(listener, list)
	{
		direction = cJSON_GetStringValue(section(listener, "direction"));
		if (!direction || strcmp(direction, "incoming") != 0)
			settings->incoming_alone = false;
	}
	cJSON_ArrayForEach(listener, list)
	{
		if (settings->listeners_len == SETTINGS_LISTENERS)
			return;
		to = &settings->listeners[settings->listeners_len];
		take_text(listener, "listen", to->listen);
		take_text(listener, "to", to->to);
		if (*to->listen)
			settings->listeners_len++;
	}
}

static void take_all(struct settings *settings, const cJSON *root)
{
	const cJSON *ring = section(section(root, "sampling"), "ring_bytes");

	take_text(section(root, "ca"), "cert", settings->ca_cert);
	take_text(section(root, "ca"), "key", settings->ca_key);
	take_text(section(root, "metrics"), "prometheus", settings->prometheus);
	take_text(root, "user", settings->user);
	take_text(root, "access_log", settings->access_log);
	take_text(root, "control", settings->control);
	if (cJSON_IsNumber(ring))
		settings->ring_bytes = ring->valuedouble;
	take_listeners(settings, section(root, "listeners"));
	take_capture(settings, section(root, "capture"));
}

void settings_read(struct settings *settings, const char *path)
{
	cJSON *root = NULL;
	char *text = NULL, *start;

	memset(settings, 0, sizeof(*settings));
	settings->path = path;
	settings->ring_bytes = RING_DEFAULT;
	snprintf(settings->control, sizeof(settings->control), "%s", KSPLIT_CONTROL_PATH);
	snprintf(settings->table, sizeof(settings->table), "ksplit");
	settings->rc = file_read(path, &text);
	if (settings->rc) {
		snprintf(settings->error, sizeof(settings->error), "%s", strerror(-settings->rc));
		return;
	}
	start = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
	cJSON_Minify(start); /* takes comments out, too */
	root = cJSON_ParseWithOpts(start, NULL, 1);
	if (cJSON_IsObject(root)) {
		take_all(settings, root);
	} else {
		settings->rc = -EBADMSG;
		snprintf(settings->error, sizeof(settings->error), "not JSON");
	}
	cJSON_Delete(root);
	free(text);
}

bool settings_split(const char *text, char *address, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char *end = NULL;
	unsigned long value;

	if (!colon || len >= SETTINGS_TEXT)
		return false;
	value = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || *end || value > 65535)
		return false;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	memcpy(address, text, len);
	address[len] = '\0';
	*port = (uint16_t)value;
	return true;
}
