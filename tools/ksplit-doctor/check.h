/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_DOCTOR_CHECK_H
#define KSPLIT_DOCTOR_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/*
 * What ksplit-doctor looks at. A check is one of two kinds: an attempt does one thing that ksplitd
 * needs of the kernel and works or does not; a look examines this host and tells what it finds.
 * Each runs in a process of its own (runner.h) and may enter namespaces, change limits and leave
 * descriptors open: all of it ends with the process.
 */
enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL, VERDICT_NOT_TRIED };

/* Does the thing that was tried work? Looks do not say. */
enum works { WORKS_NO, WORKS_YES, WORKS_UNKNOWN };

/* What becomes of ksplit without it. */
enum weight { WEIGHT_NONE, WEIGHT_LOSS, WEIGHT_FATAL };

#define FINDING_SUBJECT 128
#define FINDING_TEXT    512
#define FINDING_MEND    512

/* One line of the report. Written to a pipe in one piece, so it stays below PIPE_BUF (pipe(7)). */
struct finding {
	enum verdict verdict;
	enum works works;
	char subject[FINDING_SUBJECT]; /* which of several; "" */
	char text[FINDING_TEXT];
	char mend[FINDING_MEND]; /* how to mend it; "": nothing to mend, or not known */
};

/* Answer of an attempt that could not be made: the reason is in attempt->why. */
#define ATTEMPT_UNKNOWN 1

struct attempt {
	const struct settings *settings;
	char why[256]; /* a detail for people; "" */
};

struct look {
	const struct settings *settings;
	int pipe;
};

struct check {
	const char *name; /* of a kernel feature: its row in Kbuild-notes, where it has one */
	const char *area;
	const char *what; /* completes "ok NAME ..." */
	const char *lost; /* without it; attempts only */
	const char *mend;
	enum weight weight;
	/* Capabilities (1 << CAP_*) any of which lets it be tried: a refusal without them says
	 * nothing about the kernel. 0: none needed. */
	uint64_t caps;
	/* 0: works; -errno: what the kernel said; ATTEMPT_UNKNOWN. */
	int (*attempt)(struct attempt *attempt);
	void (*look)(struct look *look);
};

/* The table of all checks, in the order in which they run; ends with a name of NULL. */
extern const struct check checks[];

/* The text of a detail; returns `rc`, so that `return attempt_why(...)` reads well. */
int attempt_why(struct attempt *attempt, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One finding of a look. `subject` and `mend` may be NULL. */
void look_tell(struct look *look, enum verdict verdict, const char *subject, const char *mend,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A path as one word of a shell, for a mend; returns `out`. One that is too long is cut. */
const char *look_quote(const char *path, char *out, size_t len);

/* Does this process have one of these capabilities in its effective set? */
bool caps_any(uint64_t caps);

/* Shorthand of the tables. */
#define CAP_BIT(cap) (1ull << (cap))

#endif
