/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CAPTURE_NFT_TABLE_H
#define KSPLIT_CAPTURE_NFT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "capture/capture.h"

/*
 * One table of nftables, `inet NAME`, put in and taken out as a whole (libnftables(3)). The object
 * holds a netlink socket. A table that is loaded with `flags owner` (nft(8), Linux 5.12) belongs to
 * that socket: nobody else can change it, and the kernel removes it when the socket is closed,
 * however its process ends. For one thread.
 *
 * A table of that name which is there already is replaced only if it was left by an earlier
 * ksplitd: no owner, and NFT_TABLE_COMMENT as its comment. No other table is ever touched.
 */
struct nft_table;

/* Every text that is loaded has to have it as the comment of its table. */
#define NFT_TABLE_COMMENT CAPTURE_TABLE_COMMENT

#define NFT_TABLE_ERROR 600 /* bytes for what libnftables says */

/*
 * Make an object for table `name` (letters, digits, '_' and '-'; -EINVAL else). Nothing is asked of
 * the kernel yet. Caller owns *out. 0, -EINVAL, -ENOMEM.
 */
int nft_table_new(const char *name, struct nft_table **out);

/* Is there a table of that name, whoever's? 1, 0, or -errno with a sentence in `error`. */
int nft_table_is_there(struct nft_table *table, char *error, size_t error_len);

/* A table of ours without an owner stays in the kernel: nft_table_remove comes first. NULL allowed.
 */
void nft_table_free(struct nft_table *table);

/*
 * Load `owned`, or where this kernel (or library) does not know the owner flag `plain`, which is
 * the same without it; *has_owner says which. One transaction: what was loaded before is replaced,
 * or stays as it is. 0; or -EPERM (CAP_NET_ADMIN), -EEXIST (a table of that name is somebody
 * else's), -EINVAL (the text), -EIO, with a sentence in `error`.
 */
int nft_table_load(struct nft_table *table, const char *owned, const char *plain, bool *has_owner,
		   char *error, size_t error_len);

/*
 * Remove the table: ours, or what an earlier ksplitd has left. It is no error when it is not there,
 * or is somebody else's. 0, or -errno as above.
 */
int nft_table_remove(struct nft_table *table, char *error, size_t error_len);

#endif
