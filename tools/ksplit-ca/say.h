/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_SAY_H
#define KSPLIT_CA_SAY_H

/* Exit codes: a promise to scripts, see ksplit-ca(8). */
enum ca_exit {
	CA_OK = 0,     /* done, or so already */
	CA_PARTLY = 1, /* one of several things failed; show: something needs care */
	CA_FAILED = 2, /* nothing was done */
	CA_USAGE = 64
};

/*
 * One line for people on standard error ("ksplit-ca: what, where, how to mend"), with whatever a
 * terminal would obey as \xNN. Returns `code`.
 */
__attribute__((format(printf, 2, 3))) int say_error(enum ca_exit code, const char *fmt, ...);

/* The same on standard output, without the program's name and with a newline. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);

#endif
