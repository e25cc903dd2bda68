// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture/nft_table.h"

#include <ctype.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64 /* NFT_NAME_MAXLEN is 256; a name is for people to read */

struct nft_table {
	struct nft_ctx *ctx;
	bool owns; /* what is loaded is our socket's */
	char name[NAME_MAX_LEN + 1];
};

/* Whose is the table that has our name? */
enum whose { WHOSE_NOBODY, WHOSE_OURS, WHOSE_OTHER };

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_LEN || !isalpha((unsigned char)name[0]))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
	       len;
}

int nft_table_new(const char *name, struct nft_table **out)
{
	struct nft_table *table;

	if (!name_is_good(name))
		return -EINVAL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	memcpy(table->name, name, strlen(name));
	*out = table;
	return 0;
}

static void close_context(struct nft_table *table)
{
	if (table->ctx)
		nft_ctx_free(table->ctx);
	table->ctx = NULL;
	table->owns = false;
}

void nft_table_free(struct nft_table *table)
{
	if (!table)
		return;
	close_context(table);
	free(table);
}

/*
 * May nftables be spoken to? libnftables ends the process when it may not (mnl_genid_get in 1.0.6),
 * so the same question, for the ruleset's generation, is asked here first. 0 or -errno.
 */
static int ask_generation(struct mnl_socket *sock)
{
	char buffer[512] = {0};
	struct nlmsghdr *head = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *body;
	ssize_t n;

	head->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	head->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	body = mnl_nlmsg_put_extra_header(head, sizeof(*body));
	body->version = NFNETLINK_V0;
	if (mnl_socket_sendto(sock, head, head->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(sock, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		n = mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(sock), NULL, NULL);
	} while (n > 0);
	return n < 0 ? -errno : 0;
}

static int check_kernel(void)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int err;

	if (!sock)
		return -errno;
	err = mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) ? -errno : ask_generation(sock);
	mnl_socket_close(sock);
	return err;
}

static int open_context(struct nft_table *table, char *error, size_t error_len)
{
	int err;

	if (table->ctx)
		return 0;
	err = check_kernel();
	if (err) {
		snprintf(error, error_len,
			 "nftables of this kernel does not answer: %s (is nf_tables there? "
			 "modprobe nf_tables)",
			 strerror(-err));
		return err;
	}
	table->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (table->ctx && !nft_ctx_buffer_error(table->ctx) && !nft_ctx_buffer_output(table->ctx))
		return 0;
	close_context(table);
	snprintf(error, error_len, "out of memory");
	return -ENOMEM;
}

/* libnftables tells errors as text alone; strerror(3) is part of it. */
static int error_of(const char *said)
{
	static const int known[] = {EPERM, ENOENT, EEXIST, EOPNOTSUPP, EINVAL, ENOMEM, EBUSY};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(said, strerror(known[i])))
			return -known[i];
	return strstr(said, "syntax error") ? -EINVAL : -EIO;
}

/* The first line says what; the next ones quote the rules with their place. */
static void keep_error(const char *said, char *error, size_t error_len)
{
	size_t len = strcspn(said, "\n");
	const char *place = len && said[len] ? said + len + 1 : "";

	if (!len)
		snprintf(error, error_len, "libnftables gave no reason");
	else if (*place && *place != ' ')
		snprintf(error, error_len, "%.*s: %.*s", (int)len, said, (int)strcspn(place, "\n"),
			 place);
	else
		snprintf(error, error_len, "%.*s", (int)len, said);
}

/* 0, or -errno with what libnftables says. */
static int run(struct nft_table *table, const char *commands, char *error, size_t error_len)
{
	int rc = nft_run_cmd_from_buffer(table->ctx, commands);
	/* Given once: the next call begins a new buffer. */
	const char *said = nft_ctx_get_error_buffer(table->ctx);

	if (rc == 0)
		return 0;
	keep_error(said ? said : "", error, error_len);
	return error_of(said ? said : "");
}

/* "\tflags owner" and the comment stand alone on their lines, before any chain. */
static bool head_has_line(const char *listing, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = strchr(listing, '\n'); at && at[1] == '\t'; at = strchr(at + 1, '\n'))
		if (!strncmp(at + 2, line, len) && at[2 + len] == '\n')
			return true;
	return false;
}

static int find_whose(struct nft_table *table, enum whose *whose, char *error, size_t error_len)
{
	char command[NAME_MAX_LEN + 32];
	const char *listing;
	int err;

	*whose = WHOSE_NOBODY;
	err = open_context(table, error, error_len);
	if (err)
		return err;
	snprintf(command, sizeof(command), "list table inet %s\n", table->name);
	err = run(table, command, error, error_len);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	listing = nft_ctx_get_output_buffer(table->ctx);
	if (table->owns || (!head_has_line(listing, "flags owner") &&
			    head_has_line(listing, "comment \"" NFT_TABLE_COMMENT "\"")))
		*whose = WHOSE_OURS;
	else
		*whose = WHOSE_OTHER;
	return 0;
}

static int load(struct nft_table *table, enum whose whose, const char *text, char *error,
		size_t error_len)
{
	size_t len = strlen(text) + NAME_MAX_LEN + 64;
	char *commands = malloc(len);
	int err;

	if (!commands) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	if (whose == WHOSE_NOBODY)
		snprintf(commands, len, "%s\n", text);
	else
		snprintf(commands, len, "delete table inet %s\n%s\n", table->name, text);
	err = run(table, commands, error, error_len);
	free(commands);
	return err;
}

static int refuse_other(const struct nft_table *table, char *error, size_t error_len)
{
	snprintf(error, error_len,
		 "there is a table inet %s that is not ours to replace (another ksplitd's, or "
		 "somebody's rules); give ours another name with capture.table, or remove that one",
		 table->name);
	return -EEXIST;
}

static int explain(int err, char *error, size_t error_len)
{
	if (err == -EPERM)
		snprintf(error, error_len,
			 "the kernel does not let ksplitd set firewall rules: it needs root or "
			 "CAP_NET_ADMIN in the owner of this network namespace");
	return err;
}

int nft_table_is_there(struct nft_table *table, char *error, size_t error_len)
{
	enum whose whose;
	int err = find_whose(table, &whose, error, error_len);

	return err ? explain(err, error, error_len) : whose != WHOSE_NOBODY;
}

int nft_table_load(struct nft_table *table, const char *owned, const char *plain, bool *has_owner,
		   char *error, size_t error_len)
{
	enum whose whose;
	int err = find_whose(table, &whose, error, error_len);

	if (!err && whose == WHOSE_OTHER)
		return refuse_other(table, error, error_len);
	if (err)
		return explain(err, error, error_len);
	*has_owner = true;
	err = load(table, whose, owned, error, error_len);
	if (err && err != -EPERM && err != -ENOMEM) {
		/* Linux before 5.12 and libnftables before 0.9.9 refuse the flag, with no errno of
		 * its own. */
		int owned_err = err;
		char plain_error[NFT_TABLE_ERROR];

		*has_owner = false;
		err = load(table, whose, plain, plain_error, sizeof(plain_error));
		if (err)
			err = owned_err; /* it was not the flag, then */
	}
	if (!err)
		table->owns = *has_owner;
	return explain(err, error, error_len);
}

int nft_table_remove(struct nft_table *table, char *error, size_t error_len)
{
	char command[NAME_MAX_LEN + 32];
	enum whose whose;
	int err = find_whose(table, &whose, error, error_len);

	if (err)
		return explain(err, error, error_len);
	if (whose == WHOSE_OURS) {
		snprintf(command, sizeof(command), "delete table inet %s\n", table->name);
		err = run(table, command, error, error_len);
		if (err == -ENOENT)
			err = 0;
	}
	if (!err)
		table->owns = false;
	return explain(err, error, error_len);
}
