// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "anchor.h"
#include "file.h"
#include "say.h"

#define ANCHORS_MAX 4

static void anchor_path(const struct anchor *anchor, const char *label, char *buf, size_t len)
{
	snprintf(buf, len, "%s/%s.crt", anchor->folder, label);
}

static bool file_is(const char *path, const char *pem)
{
	char *bytes = NULL;
	size_t len = 0;
	bool same;

	if (file_read(path, &bytes, &len))
		return false;
	same = len == strlen(pem) && memcmp(bytes, pem, len) == 0;
	OPENSSL_free(bytes);
	return same;
}

static enum store_result find(const struct anchor *anchor, const struct store_job *job,
			      const char *path)
{
	bool file = access(path, F_OK) == 0, bundle = anchor_bundle_has(anchor, job->cert);

	if (file == bundle)
		return file ? STORE_DONE : STORE_SO;
	if (file)
		say_error(CA_FAILED,
			  "%s: is there, but %s does not have it; run `ksplit-ca install`", path,
			  anchor->bundle);
	else
		say_error(CA_FAILED,
			  "%s: has the certificate, but not from ksplit-ca, which would "
			  "keep it in %s",
			  anchor->bundle, path);
	return STORE_FAILED;
}

static enum store_result undo(const struct anchor *anchor, const struct store_job *job)
{
	struct labels labels = {0};

	if (labels_add(&labels, job->label) == 0)
		anchor_remove(anchor, &labels);
	labels_free(&labels);
	return STORE_FAILED;
}

static enum store_result install(const struct anchor *anchor, const struct store_job *job,
				 const char *path)
{
	const struct file_access access = {0644, (uid_t)-1, (gid_t)-1};
	int rc;

	if (file_is(path, job->pem) && anchor_bundle_has(anchor, job->cert))
		return STORE_SO;
	rc = file_write(path, job->pem, strlen(job->pem), &access, true);
	if (rc) {
		say_error(CA_FAILED, "%s: cannot be written: %s%s", path, strerror(-rc),
			  rc == -EACCES || rc == -EPERM ? "; run as root" : "");
		return STORE_FAILED;
	}
	if (anchor_update(anchor))
		return undo(anchor, job);
	if (anchor_bundle_has(anchor, job->cert))
		return STORE_DONE;
	say_error(CA_FAILED, "%s: ran, but %s does not have the certificate; taken out again",
		  anchor->path, anchor->bundle);
	return undo(anchor, job);
}

/* What of ours, or of it, is in a folder under LABEL and `suffix`: also a link that leads nowhere.
 */
static int collect(const char *folder, const char *wanted, const char *suffix,
		   struct labels *labels)
{
	struct dirent *entry;
	DIR *dir = opendir(folder);
	char end[16];
	int rc = 0;

	while (dir && !rc && (entry = readdir(dir)) != NULL) {
		if (!label_matches(entry->d_name, wanted, suffix))
			continue;
		snprintf(end, sizeof(end), "%s", entry->d_name + AUTHORITY_LABEL - 1);
		if (strcmp(end, suffix) == 0)
			rc = labels_add(labels, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static enum store_result take_out(const struct anchor *anchor, const struct store_job *job)
{
	struct labels there = {0};
	enum store_result result = STORE_SO;
	int rc = collect(anchor->folder, job->label, ".crt", &there);

	if (!rc && anchor->links)
		rc = collect(anchor->links, job->label, ".pem", &there);
	if (rc)
		result = STORE_FAILED;
	else if (there.count)
		result = anchor_remove(anchor, &there);
	labels_free(&there);
	if (result != STORE_FAILED && job->cert && anchor_bundle_has(anchor, job->cert)) {
		say_error(CA_FAILED,
			  "%s: still has the certificate, which somebody put there by another "
			  "name; look in %s",
			  anchor->bundle, anchor->folder);
		return STORE_FAILED;
	}
	return result;
}

static void one(const struct anchor *anchor, const struct store_job *job,
		struct store_report *report)
{
	char path[FILE_PATH_MAX];
	enum store_result result;

	anchor_path(anchor, job->label, path, sizeof(path));
	if (job->task == STORE_FIND)
		result = find(anchor, job, path);
	else if (job->task == STORE_INSTALL)
		result = install(anchor, job, path);
	else
		result = take_out(anchor, job);
	store_tell(report, anchor->kind, *job->label ? path : anchor->folder, result);
}

int anchor_each(const struct store_job *job, struct store_report *report)
{
	struct anchor found[ANCHORS_MAX];
	size_t i, n = anchor_find(found, ANCHORS_MAX);

	for (i = 0; i < n; i++)
		one(&found[i], job, report);
	if (n || job->task != STORE_INSTALL)
		return 0;
	return say_error(CA_FAILED,
			 "no trust store that ksplit-ca knows is here: neither "
			 "update-ca-certificates nor update-ca-trust with its folder; install the "
			 "package ca-certificates");
}
