// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		rc = -errno;
	close(fd);
	return rc;
}

int nft_namespace_enter(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return loopback_up();
	if (errno != EPERM)
		return -errno;
	/* Forbidden, or no more of them allowed (user_namespaces(7)): all the same here. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return -EPERM;
	return loopback_up();
}

/* The first line of what nft says, without "Error: ". */
static int refused(const char *said, char *error, size_t error_len)
{
	const char *text = said ? said : "";
	size_t len;

	if (strstr(text, "Operation not permitted"))
		return -EPERM;
	text = strstr(text, "Error: ") ? strstr(text, "Error: ") + 7 : text;
	len = strcspn(text, "\n");
	snprintf(error, error_len, "%.*s", (int)(len < 200 ? len : 200), text);
	return -EOPNOTSUPP;
}

int nft_run(const char *commands, bool json, char **out, char *error, size_t error_len)
{
	struct nft_ctx *nft;
	const char *output;
	int rc = 0;

	/* Asked before, since the library answers a refusal by exit(3). */
	if (!caps_any(CAP_BIT(CAP_NET_ADMIN)))
		return -EPERM;
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft)
		return -ENOMEM;
	if (nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft)) {
		nft_ctx_free(nft);
		return -ENOMEM;
	}
	nft_ctx_output_set_flags(nft,
				 (json ? NFT_CTX_OUTPUT_JSON : 0) | NFT_CTX_OUTPUT_NUMERIC_ALL);
	if (nft_run_cmd_from_buffer(nft, commands))
		rc = refused(nft_ctx_get_error_buffer(nft), error, error_len);
	if (!rc && out) {
		output = nft_ctx_get_output_buffer(nft);
		*out = strdup(output ? output : "");
		rc = *out ? 0 : -ENOMEM;
	}
	nft_ctx_free(nft);
	return rc;
}
