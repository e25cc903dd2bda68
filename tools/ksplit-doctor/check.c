// SPDX-License-Identifier: GPL-2.0-or-later
#include "check.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int attempt_why(struct attempt *attempt, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(attempt->why, sizeof(attempt->why), format, args);
	va_end(args);
	return rc;
}

void look_tell(struct look *look, enum verdict verdict, const char *subject, const char *mend,
	       const char *format, ...)
{
	struct finding finding = {.verdict = verdict, .works = WORKS_UNKNOWN};
	va_list args;
	ssize_t n;

	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	if (subject)
		snprintf(finding.subject, sizeof(finding.subject), "%s", subject);
	if (mend)
		snprintf(finding.mend, sizeof(finding.mend), "%s", mend);
	n = write(look->pipe, &finding, sizeof(finding));
	(void)n; /* a reader that is gone wants no more */
}

const char *look_quote(const char *path, char *out, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+@:,=";
	size_t used = 0;

	if (path[strspn(path, plain)] == '\0') {
		snprintf(out, len, "%s", path);
		return out;
	}
	out[used++] = '\'';
	for (; *path && used + 6 < len; path++) {
		if (*path == '\'')
			used += (size_t)sprintf(out + used, "'\\''");
		else
			out[used++] = *path;
	}
	out[used++] = '\'';
	out[used] = '\0';
	return out;
}

bool caps_any(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &head, data))
		return false;
	return (data[0].effective | (uint64_t)data[1].effective << 32) & caps;
}
