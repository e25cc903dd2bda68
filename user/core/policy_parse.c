// SPDX-License-Identifier: GPL-2.0-or-later
/* Patterns of pass rules: from what a person writes to what is compared, and processes. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "core/cidr.h"
#include "core/policy.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*';
}

static const char *check_labels(const char *name)
{
	size_t label = 0;

	for (; *name; name++) {
		if (*name == '.' && label == 0)
			return "a name without empty labels";
		if (*name != '.' && (unsigned char)*name >= 0x80)
			return "the name's A-label form (\"xn--...\"), which is what clients send";
		if (*name != '.' && !is_name_char(*name))
			return "letters, digits, \"-\", \"_\", \"*\" and dots";
		label = *name == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return "labels of at most 63 characters";
	}
	return label ? NULL : "a name without empty labels";
}

const char *policy_sni_parse(const char *text, char *out)
{
	size_t len = strlen(text);

	if (len > 1 && text[len - 1] == '.')
		len--;
	if (len == 0 || len > POLICY_NAME_MAX)
		return "a name of 1 to 253 characters, such as \"*.bank.example\"";
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	out[len] = '\0';
	return check_labels(out);
}

const char *policy_network_parse(const char *text, struct policy_network *out)
{
	struct cidr cidr;
	enum cidr_fault fault = cidr_parse(text, &cidr);
	bool four = cidr.family == AF_INET;

	memset(out, 0, sizeof(*out));
	if (fault == CIDR_BITS_BEHIND)
		return "no bits set behind the network's length";
	if (fault != CIDR_GOOD)
		return "an address or a network, such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
	if (four)
		out->address[10] = out->address[11] = 0xff;
	memcpy(out->address + (four ? 12 : 0), cidr.address, four ? 4 : 16);
	out->bits = (uint8_t)((four ? 96 : 0) + cidr.prefix);
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

static bool is_cgroup(const char *text)
{
	return strchr(text, '/') || ends_with(text, ".service") || ends_with(text, ".scope") ||
	       ends_with(text, ".slice");
}

const char *policy_process_parse(const char *text, struct policy_process *out)
{
	size_t len = strlen(text);

	if (!len || !strcmp(text, "/"))
		return "a command, the path of a program, or a cgroup";
	out->kind = text[0] == '/' ? POLICY_PATH : is_cgroup(text) ? POLICY_CGROUP : POLICY_COMMAND;
	/* The kernel keeps no more of a command (TASK_COMM_LEN), so a longer one never matches. */
	if (out->kind == POLICY_COMMAND && len > 15)
		return "a command of at most 15 characters, as \"ps -o comm\" shows it, or the "
		       "path of the program";
	while (out->kind == POLICY_CGROUP && text[len - 1] == '/')
		len--;
	out->glob = strndup(text, len);
	return out->glob ? NULL : "more memory";
}

/* This cgroup, or one above it; what has no slash is any element's name. */
static bool cgroup_matches(const char *glob, const char *path)
{
	const bool one = !strchr(glob, '/');
	char part[4096];
	size_t len;

	while (*path == '/')
		path++;
	for (const char *end = path; *end;) {
		const char *begin = one ? end : path;

		end += strcspn(end, "/");
		len = (size_t)(end - begin);
		if (len >= sizeof(part))
			return false;
		memcpy(part, begin, len);
		part[len] = '\0';
		if (!fnmatch(glob, part, FNM_PATHNAME))
			return true;
		end += *end == '/';
	}
	return false;
}

bool policy_process_matches(const struct policy_process *process,
			    const struct policy_caller *caller)
{
	switch (process->kind) {
	case POLICY_COMMAND:
		return *caller->command && !fnmatch(process->glob, caller->command, 0);
	case POLICY_PATH:
		return *caller->path && !fnmatch(process->glob, caller->path, FNM_PATHNAME);
	case POLICY_CGROUP: return cgroup_matches(process->glob, caller->cgroup);
	}
	return false;
}
