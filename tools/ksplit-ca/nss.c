// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "label.h"
#include "program.h"
#include "say.h"
#include "store.h"

/* A database in the form of NSS 3.12 and later: certutil(1), "sql:". */
struct database {
	char certutil[PROGRAM_PATH_MAX];
	char name[FILE_PATH_MAX];
	const char *password; /* a file, or NULL */
};

static enum store_result failed(const char *folder, const char *what)
{
	say_error(CA_FAILED, "%s: %s", folder, what);
	return STORE_FAILED;
}

static bool refuse(const char *folder, const char *what)
{
	failed(folder, what);
	return false;
}

static bool database_open(struct database *db, const char *folder, const char *password)
{
	char path[FILE_PATH_MAX];

	db->password = password;
	if (snprintf(path, sizeof(path), "%s/cert9.db", folder) >= (int)sizeof(path))
		return refuse(folder, strerror(ENAMETOOLONG));
	if (access(path, R_OK))
		return refuse(folder, errno == ENOENT
					      ? "no NSS database (cert9.db) in it; make one with "
						"`certutil -N --empty-password -d sql:FOLDER`"
					      : strerror(errno));
	if (!program_find("certutil", db->certutil))
		return refuse(folder, "needs certutil: install libnss3-tools (Debian), nss-tools "
				      "(Fedora) or nss (Arch)");
	snprintf(db->name, sizeof(db->name), "sql:%.*s", FILE_PATH_MAX - 8, folder);
	return true;
}

/* What stands there and begins as ours does. `trusted`: only what signs servers' certificates. */
static int list(const struct database *db, const char *wanted, bool trusted, struct labels *labels)
{
	const char *argv[] = {db->certutil, "-L", "-d", db->name, NULL};
	char *output, *line;
	int code = program_run(argv, NULL, &output);

	if (code)
		program_failed(db->certutil, code, output);
	for (line = output; !code && line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!label_matches(line, wanted, " "))
			continue;
		/* The nickname is ours, so that no other comes before the trust. */
		if (!trusted || strspn(line + AUTHORITY_LABEL - 1, " ") ==
					strcspn(line + AUTHORITY_LABEL - 1, "C"))
			code = labels_add(labels, line);
	}
	free(output);
	return code;
}

/* certutil with what every change needs, then `more`. */
static int change(const struct database *db, const char *action, const char *label,
		  const char *const more[], const char *input)
{
	const char *argv[16] = {db->certutil, action, "-d", db->name, "-n", label};
	size_t n = 6;

	for (; *more; more++)
		argv[n++] = *more;
	if (db->password) {
		argv[n++] = "-f";
		argv[n++] = db->password;
	}
	argv[n] = NULL;
	return program_must(argv, input);
}

static enum store_result install(const struct database *db, const struct store_job *job,
				 const char *folder)
{
	/* C: a CA for servers; nothing for mail and code. */
	static const char *const more[] = {"-t", "C,,", "-a", NULL};
	struct labels there = {0};
	enum store_result result = STORE_DONE;

	if (change(db, "-A", job->label, more, job->pem) || list(db, job->label, true, &there))
		result = STORE_FAILED;
	else if (!there.count)
		result = failed(folder, "the certificate is there under another name; take it out "
					"with certutil -D first");
	labels_free(&there);
	return result;
}

static enum store_result take_out(const struct database *db, const struct labels *there)
{
	static const char *const more[] = {NULL};
	size_t i;

	for (i = 0; i < there->count; i++) {
		if (change(db, "-D", there->item[i], more, NULL))
			return STORE_FAILED;
	}
	return STORE_DONE;
}

enum store_result nss_do(const struct store_job *job, const char *folder)
{
	enum store_result result;
	struct labels there = {0};
	struct database db;

	if (!database_open(&db, folder, job->nss_password))
		return STORE_FAILED;
	if (list(&db, job->label, job->task != STORE_REMOVE, &there))
		result = STORE_FAILED;
	else if (job->task == STORE_FIND)
		result = there.count ? STORE_DONE : STORE_SO;
	else if (job->task == STORE_INSTALL)
		result = there.count ? STORE_SO : install(&db, job, folder);
	else
		result = there.count ? take_out(&db, &there) : STORE_SO;
	labels_free(&there);
	return result;
}

/* Where browsers have theirs, below a home folder. */
static const char *const places[] = {
	".pki/nssdb",
	".mozilla/firefox/*",
	".config/mozilla/firefox/*",
	".thunderbird/*",
	"snap/firefox/common/.mozilla/firefox/*",
	"snap/chromium/current/.pki/nssdb",
	".var/app/org.mozilla.firefox/.mozilla/firefox/*",
};

/* A folder in another's home may be a link to anywhere: only what is theirs is touched. */
static void one_of_user(const struct store_job *job, char *path, uid_t uid,
			struct store_report *report)
{
	struct stat st;

	*strrchr(path, '/') = '\0';
	if (stat(path, &st) || st.st_uid != uid)
		store_tell(report, "nss", path, failed(path, "does not belong to that user"));
	else
		store_tell(report, "nss", path, store_as_owner(nss_do, job, path));
}

int nss_each_of(const struct store_job *job, const char *user, struct store_report *report)
{
	const struct passwd *entry = getpwnam(user);
	char pattern[FILE_PATH_MAX];
	glob_t found = {0};
	size_t i;
	uid_t uid;

	if (!entry)
		return say_error(CA_FAILED, "--nss-of: %s: no such user", user);
	uid = entry->pw_uid;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s/cert9.db", entry->pw_dir, places[i]);
		glob(pattern, i ? GLOB_APPEND : 0, NULL, &found);
	}
	for (i = 0; i < found.gl_pathc; i++)
		one_of_user(job, found.gl_pathv[i], uid, report);
	i = found.gl_pathc;
	globfree(&found);
	if (i)
		return 0;
	return say_error(CA_FAILED,
			 "--nss-of: %s: no NSS database below the home folder; start the browser "
			 "once, or name a folder with --nss",
			 user);
}
