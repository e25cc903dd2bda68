// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ksplit/version.h>

#include "command.h"
#include "say.h"

enum { INIT = 1, INSTALL = 2, REMOVE = 4, SHOW = 8, EXPORT = 16, ANY = 31, STORES = 14 };

static const struct command commands[] = {
	{"init", INIT, command_init},       {"install", INSTALL, command_install},
	{"remove", REMOVE, command_remove}, {"show", SHOW, command_show},
	{"export", EXPORT, command_export},
};

enum kind { FLAG, TEXT, MANY, DAYS };

#define AT(member) offsetof(struct options, member)

static const struct row {
	const char *name;
	enum kind kind;
	unsigned int commands;
	size_t at;
	const char *expected; /* of a value */
} rows[] = {
	{"--dir", TEXT, ANY, AT(dir), "the folder of ca.pem and ca.key"},
	{"--cert", TEXT, ANY, AT(cert), "a file"},
	{"--key", TEXT, INIT | SHOW, AT(key), "a file"},
	{"--name", TEXT, INIT, AT(name), "a common name"},
	{"--days", DAYS, INIT, AT(days), "a whole number of days from 1 to 3650"},
	{"--permit", MANY, INIT, AT(permit), "a domain or a network"},
	{"--exclude", MANY, INIT, AT(exclude), "a domain or a network"},
	{"--user", TEXT, INIT, AT(user), "the name of a user"},
	{"--force", FLAG, INIT | EXPORT, AT(force), NULL},
	{"--all", FLAG, REMOVE, AT(all), NULL},
	{"--no-system", FLAG, STORES, AT(no_system), NULL},
	{"--nss", MANY, STORES, AT(nss), "a folder with cert9.db"},
	{"--nss-of", MANY, STORES, AT(nss_of), "the name of a user"},
	{"--nss-password", TEXT, STORES, AT(nss_password), "a file with the password"},
	{"--java", MANY, STORES, AT(java), "a keystore"},
	{"--java-password", TEXT, STORES, AT(java_password), "a file with the password"},
	{"--root", TEXT, INSTALL | REMOVE, AT(root), "the root folder of another system"},
	{"--json", FLAG, SHOW, AT(json), NULL},
	{"--format", TEXT, EXPORT, AT(format), "pem, der or p7c"},
	{"--out", TEXT, EXPORT, AT(out), "a file"},
};

static const char usage[] =
	"usage: ksplit-ca COMMAND [OPTION]...\n"
	"\n"
	"Makes the CA that ksplitd signs with, and lets this host trust it. See ksplit-ca(8).\n"
	"\n"
	"  init      make a CA: P-256, self-signed, for leaves only\n"
	"      --name TEXT           its common name (default \"ksplit CA HOST\")\n"
	"      --days N              how long it is valid (default 825)\n"
	"      --permit NAME|NET     only for this domain or network; may be repeated\n"
	"      --exclude NAME|NET    never for this domain or network; may be repeated\n"
	"      --user USER           who owns the key (default: who runs this)\n"
	"      --force               replace the CA that is there\n"
	"  install   put it into the host's trust store\n"
	"  remove    take it out again; nothing of it stays\n"
	"      --all                 every CA that ksplit-ca has put there\n"
	"      --root DIR            the system below DIR instead (install, remove)\n"
	"  show      what it is, until when, where it is trusted\n"
	"      --json                for programs\n"
	"  export    the certificate (never the key) to standard output\n"
	"      --format FORMAT       pem (default), der or p7c\n"
	"      --out FILE            to a file; --force replaces it\n"
	"\n"
	"  --dir DIR                 where ca.pem and ca.key are (default " CA_DEFAULT_DIR ")\n"
	"  --cert FILE, --key FILE   or each by its path\n"
	"\n"
	"Further stores, of install, remove and show:\n"
	"  --nss DIR                 an NSS database (Firefox profile, ~/.pki/nssdb)\n"
	"  --nss-of USER             every NSS database of a user's browsers\n"
	"  --nss-password FILE       their password, where they have one\n"
	"  --java KEYSTORE           a Java keystore\n"
	"  --java-password FILE      its password (default \"changeit\")\n"
	"  --no-system               leave the host's own store alone\n"
	"\n"
	"Exit status: 0 done, 1 in part (show: needs care), 2 failed, 64 wrong usage.\n";

static int no_memory(void)
{
	return say_error(CA_FAILED, "out of memory");
}

static int words_add(struct words *words, const char *item)
{
	const char **more = reallocarray(words->item, words->count + 1, sizeof(*more));

	if (!more)
		return no_memory();
	words->item = more;
	more[words->count++] = item;
	return 0;
}

static int read_days(const struct row *row, const char *text, long *days)
{
	if (*text && strlen(text) <= 4 && text[strspn(text, "0123456789")] == '\0')
		*days = strtol(text, NULL, 10);
	else
		*days = 0;
	if (*days >= 1 && *days <= CA_MAX_DAYS)
		return 0;
	return say_error(CA_USAGE, "%s: expected %s", row->name, row->expected);
}

static int set_value(const struct row *row, const char *value, struct options *options)
{
	char *at = (char *)options + row->at;

	if (!value || !*value)
		return say_error(CA_USAGE, "%s: expected %s", row->name, row->expected);
	if (row->kind == DAYS)
		return read_days(row, value, (long *)(void *)at);
	if (row->kind == MANY)
		return words_add((struct words *)(void *)at, value);
	if (*(const char **)(void *)at)
		return say_error(CA_USAGE, "%s: given twice", row->name);
	*(const char **)(void *)at = value;
	return 0;
}

static const struct row *row_find(const char *argument, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, argument, len) == 0)
			return &rows[i];
	}
	return NULL;
}

/* An option, "--name value" or "--name=value". Adds to *given; moves *i past a value. */
static int read_option(int argc, char **argv, int *i, struct options *options, bool *given)
{
	const char *argument = argv[*i];
	size_t len = strcspn(argument, "=");
	const struct row *row = row_find(argument, len);

	if (!row)
		return say_error(CA_USAGE, "%.*s: unknown option, see ksplit-ca --help", (int)len,
				 argument);
	given[row - rows] = true;
	if (row->kind == FLAG) {
		if (argument[len])
			return say_error(CA_USAGE, "%s: takes no value", row->name);
		*((bool *)options + row->at) = true;
		return 0;
	}
	if (argument[len])
		return set_value(row, argument + len + 1, options);
	++*i;
	return set_value(row, *i < argc ? argv[*i] : NULL, options);
}

static int read_command(const char *argument, struct options *options)
{
	size_t i;

	if (options->command)
		return say_error(CA_USAGE, "%s: one command at a time, %s was given before",
				 argument, options->command->name);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argument) == 0) {
			options->command = &commands[i];
			return 0;
		}
	}
	return say_error(CA_USAGE,
			 "%s: unknown command, expected init, install, remove, show or export",
			 argument);
}

/* What fits together is known once the command is. */
static int check(const struct options *options, const bool *given)
{
	const char *const formats = " pem der p7c ";
	char format[8];
	size_t i;

	if (!options->command)
		return say_error(CA_USAGE, "expected a command: init, install, remove, show or "
					   "export; see ksplit-ca --help");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (given[i] && !(rows[i].commands & options->command->bit))
			return say_error(CA_USAGE, "%s: not an option of %s", rows[i].name,
					 options->command->name);
	}
	snprintf(format, sizeof(format), " %.4s ", options->format ? options->format : "pem");
	if (!strstr(formats, format))
		return say_error(CA_USAGE, "--format: expected pem, der or p7c");
	if (options->root && options->nss_of.count)
		return say_error(CA_USAGE, "--nss-of: not together with --root, whose users are "
					   "others; name the folders with --nss");
	if ((options->command->bit & (INSTALL | REMOVE)) && options->no_system &&
	    !options->nss.count && !options->nss_of.count && !options->java.count)
		return say_error(CA_USAGE, "--no-system: no other store is named; use --nss, "
					   "--nss-of or --java");
	if (options->all && options->cert)
		return say_error(CA_USAGE, "--all: not together with --cert");
	return 0;
}

static int fill_paths(struct options *options)
{
	if (!options->dir)
		options->dir = CA_DEFAULT_DIR;
	if (asprintf(&options->own_cert, "%s/ca.pem", options->dir) < 0) {
		options->own_cert = NULL;
		return no_memory();
	}
	if (asprintf(&options->own_key, "%s/ca.key", options->dir) < 0) {
		options->own_key = NULL;
		return no_memory();
	}
	if (!options->cert)
		options->cert = options->own_cert;
	if (!options->key)
		options->key = options->own_key;
	return 0;
}

int options_read(int argc, char **argv, struct options *options)
{
	bool given[sizeof(rows) / sizeof(rows[0])] = {false};
	int i, code = 0;

	*options = (struct options){.days = CA_DEFAULT_DAYS};
	for (i = 1; i < argc && !code; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
			fputs(argv[i][2] == 'h' ? usage : "ksplit-ca " KSPLIT_VERSION "\n", stdout);
			options->command = NULL;
			return 0;
		}
		code = argv[i][0] == '-' ? read_option(argc, argv, &i, options, given)
					 : read_command(argv[i], options);
	}
	if (!code)
		code = check(options, given);
	return code ? code : fill_paths(options);
}

void options_free(struct options *options)
{
	free(options->permit.item);
	free(options->exclude.item);
	free(options->nss.item);
	free(options->nss_of.item);
	free(options->java.item);
	free(options->own_cert);
	free(options->own_key);
}
