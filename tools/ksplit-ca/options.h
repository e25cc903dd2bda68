/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KSPLIT_CA_OPTIONS_H
#define KSPLIT_CA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define CA_DEFAULT_DIR "/etc/ksplit"

/*
 * 825 days: what Apple's systems take at most of a leaf below a root that a person added, so that a
 * leaf that lives as long as its CA is never too long; and a forgotten key ends by itself.
 */
#define CA_DEFAULT_DAYS 825
#define CA_MAX_DAYS     3650

/* The values of an option that may be given several times; the texts are argv's. */
struct words {
	const char **item;
	size_t count;
};

struct options;

struct command {
	const char *name;
	unsigned int bit; /* in the table of options: which of them it takes */
	int (*run)(const struct options *options); /* an enum ca_exit */
};

/* The command line; texts are argv's, but for cert and key, which are its own. */
struct options {
	const struct command
		*command; /* NULL: help or version was printed, there is no more to do */
	const char *dir;
	const char *cert, *key;
	const char *name, *user;
	long days;
	bool force, json, all, no_system;
	struct words permit, exclude;
	const char *root;
	struct words nss, nss_of, java;
	const char *nss_password, *java_password;
	const char *format, *out;
	char *own_cert, *own_key; /* where cert and key follow from dir */
};

/*
 * Read the command line. 0, or CA_USAGE or CA_FAILED with one line said. The caller gives `options`
 * to options_free in any case.
 */
int options_read(int argc, char **argv, struct options *options);
void options_free(struct options *options);

#endif
