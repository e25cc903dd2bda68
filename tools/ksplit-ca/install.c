// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "say.h"
#include "store.h"

/* ctx: the two words for what was done, and for what was so before. */
static void tell(void *ctx, const char *kind, const char *where, enum store_result result)
{
	const char *const *words = ctx;

	say("%-7s %s: %s", kind, where, result == STORE_FAILED ? "failed" : words[result]);
	fflush(stdout);
}

/* From here on every path is one of the other system's, and so are the programs. */
static int enter(const char *root)
{
	if (chroot(root) == 0 && chdir("/") == 0)
		return 0;
	return say_error(CA_FAILED, "--root: %s: cannot be entered: %s%s", root, strerror(errno),
			 errno == EPERM ? "; run as root" : "");
}

static int each_here(const struct store_job *job, const struct options *options,
		     const char *const words[2])
{
	struct store_report report = {.tell = tell, .ctx = (void *)words};
	int rc = store_each(job, options, &report);

	if (rc == CA_OK && report.stores == 0)
		say("There is no trust store here, and nothing to do.");
	return rc;
}

/* A process of its own enters: nobody leaves a chroot again, and this one's libraries may still
 * want files of the host. */
static int each_below(const struct store_job *job, const struct options *options,
		      const char *const words[2])
{
	int status = 0, rc;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return say_error(CA_FAILED, "--root: %s", strerror(errno));
	if (pid == 0) {
		rc = enter(options->root);
		if (!rc)
			rc = each_here(job, options, words);
		_exit(fflush(stdout) ? CA_FAILED : rc);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CA_FAILED;
}

static int each(const struct options *options, enum store_task task, X509 *cert,
		const char *const words[2])
{
	struct store_job job;
	int rc = store_job_fill(&job, task, cert, options);

	if (!rc)
		rc = options->root ? each_below(&job, options, words)
				   : each_here(&job, options, words);
	store_job_free(&job);
	return rc;
}

int command_install(const struct options *options)
{
	static const char *const words[] = {"installed", "was installed already"};
	X509 *cert = NULL;
	int rc = authority_read(options->cert, &cert);

	if (!rc)
		rc = authority_check(cert, options->cert);
	if (!rc)
		rc = each(options, STORE_INSTALL, cert, words);
	X509_free(cert);
	return rc;
}

int command_remove(const struct options *options)
{
	static const char *const words[] = {"removed", "was not there"};
	X509 *cert = NULL;
	int rc = 0;

	if (!options->all) {
		rc = authority_read(options->cert, &cert);
		if (rc)
			say_error(CA_FAILED, "remove --all takes out every CA that ksplit-ca has "
					     "installed, without its file");
	}
	if (!rc)
		rc = each(options, STORE_REMOVE, cert, words);
	X509_free(cert);
	return rc;
}
