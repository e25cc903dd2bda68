// SPDX-License-Identifier: GPL-2.0-or-later
#include "label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_LEN (AUTHORITY_LABEL - 1)

bool label_matches(const char *text, const char *wanted, const char *end)
{
	if (strncmp(text, "ksplit-", 7) != 0 || strspn(text + 7, "0123456789abcdef") != 16)
		return false;
	if (*wanted && strncmp(text, wanted, LABEL_LEN) != 0)
		return false;
	return strncmp(text + LABEL_LEN, end, strlen(end)) == 0;
}

int labels_add(struct labels *labels, const char *text)
{
	char(*more)[AUTHORITY_LABEL];
	size_t i;

	for (i = 0; i < labels->count; i++) {
		if (strncmp(labels->item[i], text, LABEL_LEN) == 0)
			return 0;
	}
	more = reallocarray(labels->item, labels->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	labels->item = more;
	memcpy(more[labels->count], text, LABEL_LEN);
	more[labels->count++][LABEL_LEN] = '\0';
	return 0;
}

int labels_of_lines(struct labels *labels, const char *text, const char *wanted, const char *end)
{
	int rc = 0;

	while (*text && !rc) {
		if (label_matches(text, wanted, end))
			rc = labels_add(labels, text);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return rc;
}

void labels_free(struct labels *labels)
{
	free(labels->item);
	*labels = (struct labels){0};
}
