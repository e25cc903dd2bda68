// SPDX-License-Identifier: GPL-2.0-or-later
#include "anchor.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "say.h"

static const struct anchor anchors[] = {
	{.kind = "debian", /* update-ca-certificates(8); Alpine is alike */
	 .folder = "/usr/local/share/ca-certificates",
	 .program = "update-ca-certificates",
	 .bundle = "/etc/ssl/certs/ca-certificates.crt",
	 .links = "/etc/ssl/certs",
	 .hooks = "/etc/ca-certificates/update.d"},
	{.kind = "fedora", /* update-ca-trust(8) */
	 .folder = "/etc/pki/ca-trust/source/anchors",
	 .program = "update-ca-trust",
	 .argument = "extract",
	 .bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"},
	{.kind = "suse",
	 .folder = "/etc/pki/trust/anchors",
	 .program = "update-ca-certificates",
	 .bundle = "/var/lib/ca-certificates/ca-bundle.pem"},
	{.kind = "arch",
	 .folder = "/etc/ca-certificates/trust-source/anchors",
	 .program = "update-ca-trust",
	 .bundle = "/etc/ca-certificates/extracted/tls-ca-bundle.pem"},
};

#define KINDS (sizeof(anchors) / sizeof(anchors[0]))

size_t anchor_find(struct anchor *found, size_t max)
{
	size_t i, n = 0;
	struct stat st;

	for (i = 0; i < KINDS && n < max; i++) {
		found[n] = anchors[i];
		if (stat(anchors[i].folder, &st) == 0 && S_ISDIR(st.st_mode) &&
		    program_find(anchors[i].program, found[n].path))
			n++;
	}
	return n;
}

bool anchor_bundle_has(const struct anchor *anchor, X509 *cert)
{
	BIO *bio = BIO_new_file(anchor->bundle, "r");
	bool has = false;
	X509 *other;

	while (bio && !has && (other = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		has = X509_cmp(cert, other) == 0;
		X509_free(other);
	}
	BIO_free(bio);
	ERR_clear_error();
	return has;
}

int anchor_update(const struct anchor *anchor)
{
	const char *argv[] = {anchor->path, anchor->argument, NULL};

	return program_must(argv, NULL);
}

static int unlink_file(const char *folder, const char *label, const char *suffix)
{
	char path[FILE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s%s", folder, label, suffix);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	say_error(CA_FAILED, "%s: cannot be removed: %s%s", path, strerror(errno),
		  errno == EACCES || errno == EPERM ? "; run as root" : "");
	return -1;
}

/* What run-parts(8) would run. */
static bool is_hook(const struct dirent *entry, const char *path)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-";
	struct stat st;

	return entry->d_name[strspn(entry->d_name, name)] == '\0' && stat(path, &st) == 0 &&
	       S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* update-ca-certificates(8): each hook is told on its standard input what went, with a "-". */
static int tell_hooks(const struct anchor *anchor, const char *gone)
{
	char path[FILE_PATH_MAX];
	const char *argv[] = {path, NULL};
	struct dirent *entry;
	DIR *folder = opendir(anchor->hooks);
	int rc = 0;

	while (folder && (entry = readdir(folder)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", anchor->hooks, entry->d_name);
		if (is_hook(entry, path) && program_must(argv, gone))
			rc = -1;
	}
	if (folder)
		closedir(folder);
	return rc;
}

/* "-/etc/ssl/certs/LABEL.pem" for each; the caller frees it. */
static char *gone_lines(const struct anchor *anchor, const struct labels *labels)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (i = 0; i < labels->count; i++)
		fprintf(out, "-%s/%s.pem\n", anchor->links, labels->item[i]);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static bool leads_to(const char *link, const struct labels *labels)
{
	char target[64];
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	size_t i;

	if (len <= 0)
		return false;
	target[len] = '\0';
	for (i = 0; i < labels->count; i++) {
		if (label_matches(target, labels->item[i], ".pem"))
			return true;
	}
	return false;
}

/* Links of openssl-rehash(1), which are named after the hash of the subject and numbered. */
static int unlink_hashes(const struct anchor *anchor, const struct labels *labels)
{
	char path[FILE_PATH_MAX];
	struct dirent *entry;
	DIR *folder = opendir(anchor->links);
	int rc = 0;

	while (folder && (entry = readdir(folder)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", anchor->links, entry->d_name);
		if (leads_to(path, labels) && unlink(path)) {
			say_error(CA_FAILED, "%s: cannot be removed: %s", path, strerror(errno));
			rc = -1;
		}
	}
	if (folder)
		closedir(folder);
	return rc;
}

/*
 * update-ca-certificates looks for links that lead nowhere only when something else changes. With
 * --fresh it would, but then takes every link away first: for a moment nobody would be trusted.
 */
static int remove_links(const struct anchor *anchor, const struct labels *labels)
{
	char openssl[PROGRAM_PATH_MAX];
	const char *argv[] = {openssl, "rehash", anchor->links, NULL};
	int rc = unlink_hashes(anchor, labels);
	char *gone;

	/* A number that is missing hides those above it. The exit code is no help: it tells of
	 * others' links that lead nowhere, too. */
	if (program_find("openssl", openssl))
		program_run(argv, NULL, NULL);
	gone = gone_lines(anchor, labels);
	if (!gone || tell_hooks(anchor, gone))
		rc = -1;
	free(gone);
	return rc;
}

enum store_result anchor_remove(const struct anchor *anchor, const struct labels *labels)
{
	int rc = 0;
	size_t i;

	for (i = 0; i < labels->count && !rc; i++) {
		rc = unlink_file(anchor->folder, labels->item[i], ".crt");
		if (!rc && anchor->links)
			rc = unlink_file(anchor->links, labels->item[i], ".pem");
	}
	if (!rc)
		rc = anchor_update(anchor);
	if (!rc && anchor->links)
		rc = remove_links(anchor, labels);
	return rc ? STORE_FAILED : STORE_DONE;
}
