// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/print_rules.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/iptables_text.h"
#include "capture/rules_text.h"

/* What would load the rules. */
static bool has_nftables(void)
{
	void *library = dlopen("libnftables.so.1", RTLD_LAZY | RTLD_LOCAL);

	if (library)
		dlclose(library);
	return library != NULL;
}

static bool wants_iptables(const struct config *config)
{
	if (config->print_rules == PRINT_RULES_IPTABLES)
		return true;
	if (config->print_rules == PRINT_RULES_NFT || has_nftables())
		return false;
	fprintf(stderr,
		"ksplitd: libnftables is not installed (Debian: libnftables1), so these are "
		"iptables lines, to be run by hand\n");
	return true;
}

int print_rules(const struct config *config)
{
	const struct capture *capture = &config->capture;
	/* By hand, an owned table would be gone as soon as nft has ended. */
	bool owner = config->print_rules == PRINT_RULES;
	char *text;
	int rc;

	rc = wants_iptables(config) ? iptables_text_make(capture, &text)
				    : rules_text_make(capture, owner, &text);
	if (rc == -ENOENT) {
		puts("# No rules: the configuration has no section \"capture\" that asks for "
		     "them.");
		rc = 0;
	} else if (rc == 0) {
		fputs(text, stdout);
		free(text);
	}
	if (rc == 0 && fflush(stdout))
		rc = -errno;
	if (rc == 0)
		return 0;
	fprintf(stderr, "ksplitd: cannot print the rules: %s\n", strerror(-rc));
	return 1;
}
