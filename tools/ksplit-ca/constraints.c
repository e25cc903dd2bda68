// SPDX-License-Identifier: GPL-2.0-or-later
#include "constraints.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

#define NAME_MAX_BYTES  253 /* RFC 1035 3.1, as text */
#define LABEL_MAX_BYTES 63

/* A constraint before it becomes OpenSSL's. */
struct constraint {
	int type;                            /* GEN_DNS, GEN_IPADD */
	unsigned char bytes[NAME_MAX_BYTES]; /* a name in small letters; an address and its mask */
	size_t len;
};

static int wrong(const char *option, const char *text, const char *what)
{
	return say_error(CA_USAGE, "%s: %s: %s", option, text, what);
}

static void mask_fill(unsigned char *mask, size_t len, unsigned int bits)
{
	size_t i;

	for (i = 0; i<len; i++, bits = bits> 8 ? bits - 8 : 0)
		mask[i] = (unsigned char)(bits >= 8 ? 0xff : 0xff00 >> bits);
}

static bool read_prefix(const char *text, size_t address_len, unsigned int *bits)
{
	*bits = (unsigned int)address_len * 8;
	if (!text)
		return true;
	if (!*text || strlen(text) > 3 || text[strspn(text, "0123456789")])
		return false;
	if (strtoul(text, NULL, 10) > *bits)
		return false;
	*bits = (unsigned int)strtoul(text, NULL, 10);
	return true;
}

/* "ADDRESS" or "ADDRESS/LENGTH". 0, an enum ca_exit, or -1: this is no address. */
static int parse_network(const char *option, const char *text, struct constraint *out)
{
	char address[INET6_ADDRSTRLEN + 1], network[INET6_ADDRSTRLEN], mend[160];
	size_t len = strcspn(text, "/"), i;
	unsigned int bits;
	bool host = false;
	int family = memchr(text, ':', len) ? AF_INET6 : AF_INET;

	if (len >= sizeof(address))
		return -1;
	snprintf(address, sizeof(address), "%.*s", (int)len, text);
	if (inet_pton(family, address, out->bytes) != 1)
		return text[len] || family == AF_INET6
			       ? wrong(option, text, "expected a network like 10.0.0.0/8")
			       : -1;
	out->type = GEN_IPADD;
	out->len = family == AF_INET6 ? 16 : 4;
	if (!read_prefix(text[len] ? text + len + 1 : NULL, out->len, &bits))
		return wrong(option, text, "expected a length of 0 to 32 (IPv6: 128) behind the /");
	mask_fill(out->bytes + out->len, out->len, bits);
	for (i = 0; i < out->len; i++) {
		host |= out->bytes[i] & ~out->bytes[out->len + i];
		out->bytes[i] &= out->bytes[out->len + i];
	}
	if (host) {
		inet_ntop(family, out->bytes, network, sizeof(network));
		snprintf(mend, sizeof(mend), "has bits behind its length; meant is perhaps %s/%u",
			 network, bits);
		return wrong(option, text, mend);
	}
	out->len *= 2;
	return 0;
}

static const char *label_error(const char *label, size_t len)
{
	size_t i;

	if (len == 0)
		return "has an empty part between dots";
	if (len > LABEL_MAX_BYTES)
		return "has a part of more than 63 characters";
	if (label[0] == '-' || label[len - 1] == '-')
		return "has a part that begins or ends with -";
	for (i = 0; i < len; i++) {
		if ((unsigned char)label[i] >= 0x80)
			return "is not ASCII; give the form that begins with xn--";
		if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
			return "expected a domain (example.com) or a network (10.0.0.0/8)";
	}
	return NULL;
}

static bool all_digits(const char *text, size_t len)
{
	return strspn(text, "0123456789") >= len;
}

static int parse_domain(const char *option, const char *text, struct constraint *out)
{
	const char *label = text, *error;
	size_t len = strlen(text), i, part;

	if (text[0] == '.' || strncmp(text, "*.", 2) == 0)
		return wrong(option, text,
			     "give the domain alone, which stands for all names below it, too");
	if (len > NAME_MAX_BYTES)
		return wrong(option, text, "is longer than a domain can be (253 characters)");
	for (;; label += part + 1) {
		part = strcspn(label, ".");
		error = label_error(label, part);
		if (!error && !label[part] && all_digits(label, part))
			error = "expected a domain (example.com) or a network (10.0.0.0/8)";
		if (error)
			return wrong(option, text, error);
		if (!label[part])
			break;
	}
	out->type = GEN_DNS;
	out->len = len;
	for (i = 0; i < len; i++)
		out->bytes[i] = (unsigned char)tolower((unsigned char)text[i]);
	return 0;
}

static GENERAL_NAME *name_make(const struct constraint *from)
{
	ASN1_STRING *value = ASN1_STRING_type_new(from->type == GEN_DNS ? V_ASN1_IA5STRING
									: V_ASN1_OCTET_STRING);
	GENERAL_NAME *name = GENERAL_NAME_new();

	if (!name || !value || !ASN1_STRING_set(value, from->bytes, (int)from->len)) {
		ASN1_STRING_free(value);
		GENERAL_NAME_free(name);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, from->type, value);
	return name;
}

static int add(STACK_OF(GENERAL_SUBTREE) * *list, const struct constraint *constraint)
{
	GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
	GENERAL_NAME *name = name_make(constraint);

	if (!*list)
		*list = sk_GENERAL_SUBTREE_new_null();
	if (subtree && name && *list) {
		GENERAL_NAME_free(subtree->base);
		subtree->base = name;
		if (sk_GENERAL_SUBTREE_push(*list, subtree))
			return 0;
		name = NULL;
	}
	GENERAL_NAME_free(name);
	GENERAL_SUBTREE_free(subtree);
	return say_error(CA_FAILED, "out of memory");
}

static int add_words(STACK_OF(GENERAL_SUBTREE) * *list, const char *option,
		     const struct words *words, bool *domains, bool *networks)
{
	size_t i;

	for (i = 0; i < words->count; i++) {
		struct constraint constraint = {0};
		int rc = parse_network(option, words->item[i], &constraint);

		if (rc < 0)
			rc = parse_domain(option, words->item[i], &constraint);
		if (!rc)
			rc = add(list, &constraint);
		if (rc)
			return rc;
		*domains |= constraint.type == GEN_DNS;
		*networks |= constraint.type == GEN_IPADD;
	}
	return 0;
}

/* What is permitted for one kind of name leaves the others free: exclude them. */
static int exclude_rest(NAME_CONSTRAINTS *nc, bool domains, bool networks)
{
	static const struct constraint every_name = {.type = GEN_DNS, .len = 0};
	static const struct constraint every_ipv4 = {.type = GEN_IPADD, .len = 8};
	static const struct constraint every_ipv6 = {.type = GEN_IPADD, .len = 32};
	int rc = 0;

	if (domains && !networks) {
		rc = add(&nc->excludedSubtrees, &every_ipv4);
		return rc ? rc : add(&nc->excludedSubtrees, &every_ipv6);
	}
	if (networks && !domains)
		rc = add(&nc->excludedSubtrees, &every_name);
	return rc;
}

int constraints_make(const struct words *permit, const struct words *exclude,
		     NAME_CONSTRAINTS **out)
{
	bool domains = false, networks = false, ignored = false;
	NAME_CONSTRAINTS *nc;
	int rc;

	*out = NULL;
	if (!permit->count && !exclude->count)
		return 0;
	nc = NAME_CONSTRAINTS_new();
	if (!nc)
		return say_error(CA_FAILED, "out of memory");
	rc = add_words(&nc->permittedSubtrees, "--permit", permit, &domains, &networks);
	if (!rc)
		rc = add_words(&nc->excludedSubtrees, "--exclude", exclude, &ignored, &ignored);
	if (!rc)
		rc = exclude_rest(nc, domains, networks);
	if (rc)
		NAME_CONSTRAINTS_free(nc);
	else
		*out = nc;
	return rc;
}

/* RFC 4632 3.1: the length of a mask, or -1 where its ones are not all in front. */
static int mask_bits(const unsigned char *mask, size_t len)
{
	unsigned char expected[16];
	unsigned int bits;

	for (bits = 0; bits <= len * 8; bits++) {
		mask_fill(expected, len, bits);
		if (memcmp(mask, expected, len) == 0)
			return (int)bits;
	}
	return -1;
}

static const char *network_text(const ASN1_STRING *value, char *buf, size_t len)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(value);
	size_t half = (size_t)ASN1_STRING_length(value) / 2;
	char address[INET6_ADDRSTRLEN];
	int bits;

	if ((half != 4 && half != 16) || ASN1_STRING_length(value) % 2)
		return NULL;
	bits = mask_bits(bytes + half, half);
	if (bits < 0 || !inet_ntop(half == 4 ? AF_INET : AF_INET6, bytes, address, sizeof(address)))
		return NULL;
	snprintf(buf, len, "%s/%d", address, bits);
	return buf;
}

const char *constraints_text(const GENERAL_SUBTREE *subtree, char *buf, size_t len)
{
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(subtree->base, &type);

	if (type == GEN_IPADD && network_text(value, buf, len))
		return buf;
	if (type == GEN_DNS && ASN1_STRING_length(value) == 0)
		snprintf(buf, len, "all domains");
	else if (type == GEN_DNS)
		snprintf(buf, len, "%.*s", ASN1_STRING_length(value),
			 (const char *)ASN1_STRING_get0_data(value));
	else
		snprintf(buf, len, "(a constraint of another kind)");
	return buf;
}
