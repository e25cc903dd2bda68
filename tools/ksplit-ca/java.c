// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <glob.h>
#include <openssl/crypto.h>
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

struct keystore {
	char keytool[PROGRAM_PATH_MAX];
	char path[FILE_PATH_MAX]; /* behind links: the file itself is replaced */
	struct stat st;
	const char *password[2]; /* keytool's option and its value */
};

static enum store_result failed(const char *path, const char *what)
{
	say_error(CA_FAILED, "%s: %s", path, what);
	return STORE_FAILED;
}

static bool use(const char *path, char buf[static PROGRAM_PATH_MAX])
{
	return snprintf(buf, PROGRAM_PATH_MAX, "%s", path) < PROGRAM_PATH_MAX &&
	       access(buf, X_OK) == 0;
}

static bool find_keytool(char buf[static PROGRAM_PATH_MAX])
{
	const char *home = getenv("JAVA_HOME");
	char path[FILE_PATH_MAX];
	glob_t found = {0};
	bool ok;

	snprintf(path, sizeof(path), "%s/bin/keytool", home ? home : "");
	if (program_find("keytool", buf) || (home && use(path, buf)))
		return true;
	ok = glob("/usr/lib/jvm/*/bin/keytool", 0, NULL, &found) == 0 &&
	     use(found.gl_pathv[0], buf);
	globfree(&found);
	return ok;
}

static bool keystore_open(struct keystore *store, const char *path, const char *password)
{
	char *real = realpath(path, NULL);
	bool ok = real && strlen(real) + 16 < sizeof(store->path) && stat(real, &store->st) == 0;

	if (!ok)
		failed(path, strerror(errno ? errno : ENAMETOOLONG));
	else
		snprintf(store->path, sizeof(store->path), "%s", real);
	free(real);
	if (ok && !S_ISREG(store->st.st_mode)) {
		failed(path, "not a file; expected a keystore, as JAVA_HOME/lib/security/cacerts");
		return false;
	}
	if (ok && !find_keytool(store->keytool)) {
		failed(path, "needs keytool, which comes with every Java; install "
			     "default-jre-headless, or set JAVA_HOME");
		return false;
	}
	store->password[0] = password ? "-storepass:file" : "-storepass";
	store->password[1] = password ? password : "changeit";
	return ok;
}

static int list(const struct keystore *store, const char *wanted, struct labels *labels)
{
	const char *argv[] = {
		store->keytool,     "-list", "-keystore", store->path, store->password[0],
		store->password[1], NULL};
	char *output;
	int code = program_run(argv, NULL, &output);

	if (code)
		program_failed(store->keytool, code, output);
	else
		code = labels_of_lines(labels, output, wanted, ",");
	free(output);
	return code;
}

/* keytool writes over what is there: it gets a copy, which then takes the place of the old one. */
static int copy_make(const struct keystore *store, struct new_file *copy)
{
	const struct file_access access = {store->st.st_mode & 07777,
					   geteuid() ? (uid_t)-1 : store->st.st_uid,
					   geteuid() ? (gid_t)-1 : store->st.st_gid};
	char *bytes = NULL;
	size_t len = 0;
	int rc = file_read(store->path, &bytes, &len);

	if (!rc)
		rc = file_begin(copy, store->path, bytes, len, &access);
	OPENSSL_clear_free(bytes, len);
	return rc;
}

static int change(const struct keystore *store, const char *copy, const char *action,
		  const char *label, const char *input)
{
	const char *argv[] = {store->keytool, action, "-noprompt",        "-alias",           label,
			      "-keystore",    copy,   store->password[0], store->password[1], NULL};

	return program_must(argv, input);
}

static enum store_result act(const struct keystore *store, const struct store_job *job,
			     const struct labels *there)
{
	struct new_file copy = {.made = false};
	int rc = copy_make(store, &copy), said = 0;
	size_t i;

	if (!rc && job->task == STORE_INSTALL)
		said = change(store, copy.temp, "-importcert", job->label, job->pem);
	for (i = 0; !rc && !said && job->task == STORE_REMOVE && i < there->count; i++)
		said = change(store, copy.temp, "-delete", there->item[i], NULL);
	if (!rc && !said)
		rc = file_commit(&copy, true);
	file_abandon(&copy);
	if (rc)
		failed(store->path, strerror(-rc));
	return rc || said ? STORE_FAILED : STORE_DONE;
}

enum store_result java_do(const struct store_job *job, const char *path)
{
	struct labels there = {0};
	enum store_result result;
	struct keystore store;

	errno = 0;
	if (!keystore_open(&store, path, job->java_password))
		return STORE_FAILED;
	if (list(&store, job->label, &there))
		result = STORE_FAILED;
	else if (job->task == STORE_FIND)
		result = there.count ? STORE_DONE : STORE_SO;
	else if ((job->task == STORE_INSTALL) == (there.count > 0))
		result = STORE_SO;
	else
		result = act(&store, job, &there);
	labels_free(&there);
	return result;
}
