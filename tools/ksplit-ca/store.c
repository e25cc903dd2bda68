// SPDX-License-Identifier: GPL-2.0-or-later
#include "store.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

void store_tell(struct store_report *report, const char *kind, const char *where,
		enum store_result result)
{
	report->stores++;
	report->failed += result == STORE_FAILED;
	report->tell(report->ctx, kind, where, result);
}

int store_job_fill(struct store_job *job, enum store_task task, X509 *cert,
		   const struct options *options)
{
	*job = (struct store_job){.task = task,
				  .cert = cert,
				  .nss_password = options->nss_password,
				  .java_password = options->java_password};
	if (!cert)
		return 0;
	authority_label(cert, job->label);
	job->pem = authority_pem(cert);
	return job->pem ? 0 : say_error(CA_FAILED, "out of memory");
}

void store_job_free(struct store_job *job)
{
	free(job->pem);
}

/* The end of a child that has become the owner: its result is its exit code. */
__attribute__((noreturn)) static void
child(enum store_result (*act)(const struct store_job *job, const char *path),
      const struct store_job *job, const char *path, const struct stat *owner)
{
	enum store_result result = STORE_FAILED;

	if (setgroups(0, NULL) || setresgid(owner->st_gid, owner->st_gid, owner->st_gid) ||
	    setresuid(owner->st_uid, owner->st_uid, owner->st_uid))
		say_error(CA_FAILED, "%s: cannot become its owner: %s", path, strerror(errno));
	else
		result = act(job, path);
	fflush(NULL);
	_exit(result);
}

enum store_result store_as_owner(enum store_result (*act)(const struct store_job *job,
							  const char *path),
				 const struct store_job *job, const char *path)
{
	struct stat st;
	pid_t pid;
	int status = -1;

	if (stat(path, &st)) {
		say_error(CA_FAILED, "%s: %s", path, strerror(errno));
		return STORE_FAILED;
	}
	if (geteuid() != 0 || st.st_uid == 0)
		return act(job, path);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(act, job, path, &st);
	if (pid < 0) {
		say_error(CA_FAILED, "%s: %s", path, strerror(errno));
		return STORE_FAILED;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) <= STORE_FAILED
		       ? (enum store_result)WEXITSTATUS(status)
		       : STORE_FAILED;
}

static int each_nss_of(const struct store_job *job, const struct options *options,
		       struct store_report *report)
{
	int rc = 0;
	size_t i;

	for (i = 0; i < options->nss_of.count; i++) {
		if (nss_each_of(job, options->nss_of.item[i], report))
			rc = CA_FAILED;
	}
	return rc;
}

int store_each(const struct store_job *job, const struct options *options,
	       struct store_report *report)
{
	int rc = 0;
	size_t i;

	if (!options->no_system)
		rc = anchor_each(job, report);
	for (i = 0; i < options->nss.count; i++)
		store_tell(report, "nss", options->nss.item[i],
			   store_as_owner(nss_do, job, options->nss.item[i]));
	if (each_nss_of(job, options, report))
		rc = CA_FAILED;
	for (i = 0; i < options->java.count; i++)
		store_tell(report, "java", options->java.item[i],
			   store_as_owner(java_do, job, options->java.item[i]));
	if (!rc && !report->failed)
		return CA_OK;
	return report->failed < report->stores ? CA_PARTLY : CA_FAILED;
}
