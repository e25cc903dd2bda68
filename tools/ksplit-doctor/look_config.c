// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <unistd.h>

#include "look.h"

void look_config(struct look *look)
{
	const struct settings *settings = look->settings;

	if (settings->rc == -ENOENT)
		look_tell(look, VERDICT_NOT_TRIED, NULL,
			  "ksplit-doctor -c FILE names it; an example is in ksplit's documentation",
			  "%s is not there: what it names cannot be looked at", settings->path);
	else if (settings->rc == -EACCES && geteuid() != 0)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "%s: needs root: %s", settings->path,
			  settings->error);
	else if (settings->rc)
		look_tell(look, VERDICT_FAIL, NULL, "ksplitd --check -c FILE tells the line",
			  "%s cannot be read: %s", settings->path, settings->error);
	else
		look_tell(look, VERDICT_OK, NULL, NULL,
			  "%s can be read (ksplitd --check judges every key)", settings->path);
}
