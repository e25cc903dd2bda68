/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_TESTS_NFT_RIG_H
#define KSPLIT_TESTS_NFT_RIG_H

/* A network namespace of the test's own, and rules for it. After cmocka.h. */

#include <errno.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/nft_table.h"

#define RIG_TABLE "ksplit_unit"
#define RIG_TEXT(flags, port)                                                                      \
	"table inet " RIG_TABLE " {\n\tcomment \"" NFT_TABLE_COMMENT "\"\n" flags                  \
	"\tchain out {\n\t\ttype nat hook output priority -100; policy accept;\n"                  \
	"\t\ttcp dport 443 redirect to :" port "\n\t}\n}\n"
#define RIG_OWNED(port) RIG_TEXT("\tflags owner\n", port)
#define RIG_PLAIN(port) RIG_TEXT("", port)

/* false: this user may not have one, or the kernel has no nftables; told, since nothing is tested
 * then. */
static inline bool rig_enter(void)
{
	struct nft_ctx *ctx;
	int err;

	if (unshare(CLONE_NEWNET)) {
		printf("# no network namespace: %s; nothing is tested here\n", strerror(errno));
		return false;
	}
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	nft_ctx_buffer_error(ctx);
	err = nft_run_cmd_from_buffer(ctx, "add table inet rig_try\ndelete table inet rig_try\n");
	if (err)
		printf("# no nftables: %s; nothing is tested here\n",
		       nft_ctx_get_error_buffer(ctx));
	nft_ctx_free(ctx);
	return !err;
}

/* Commands of somebody else; fails the test when they fail. */
static inline void rig_run(const char *commands)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	nft_ctx_buffer_error(ctx);
	if (nft_run_cmd_from_buffer(ctx, commands))
		fail_msg("%s: %s", commands, nft_ctx_get_error_buffer(ctx));
	nft_ctx_free(ctx);
}

/* The whole ruleset as nft prints it; the caller frees it. */
static inline char *rig_ruleset(void)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	char *text;

	nft_ctx_buffer_output(ctx);
	assert_int_equal(nft_run_cmd_from_buffer(ctx, "list ruleset\n"), 0);
	text = strdup(nft_ctx_get_output_buffer(ctx));
	nft_ctx_free(ctx);
	assert_non_null(text);
	return text;
}

static inline bool rig_has(const char *what)
{
	char *text = rig_ruleset();
	bool has = strstr(text, what);

	free(text);
	return has;
}

#endif
