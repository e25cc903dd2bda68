// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ksplit/text.h>

#include "authority.h"
#include "command.h"
#include "constraints.h"
#include "file.h"
#include "say.h"

#define PREFIX "ksplit CA "

static int no_memory(void)
{
	return say_error(CA_FAILED, "out of memory");
}

/* RFC 5280 counts characters, not bytes; controls have no place in a name. */
static int check_name(const char *name)
{
	size_t len = strlen(name), at = 0, characters = 0;

	while (at < len) {
		uint32_t code;
		size_t n = ksplit_utf8_decode(name + at, len - at, &code);

		if (!n || !ksplit_text_printable(code))
			return say_error(CA_USAGE, "--name: %s: not printable UTF-8", name);
		at += n;
		characters++;
	}
	if (characters > AUTHORITY_NAME_MAX)
		return say_error(CA_USAGE, "--name: longer than the %d characters of a common name",
				 AUTHORITY_NAME_MAX);
	return 0;
}

static const char *name_default(char *buf, size_t len)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) || !*host)
		snprintf(host, sizeof(host), "localhost");
	snprintf(buf, len, PREFIX "%.*s", AUTHORITY_NAME_MAX - (int)strlen(PREFIX), host);
	return buf;
}

static int find_owner(const char *user, struct file_access *access)
{
	const struct passwd *entry;

	if (!user)
		return 0;
	errno = 0;
	entry = getpwnam(user);
	if (!entry)
		return say_error(CA_FAILED, "--user: %s: no such user; make it first (useradd)",
				 user);
	access->uid = entry->pw_uid;
	access->gid = entry->pw_gid;
	return 0;
}

/* /etc/ksplit may be missing; what is above it has to be there. */
static int folder_make(const char *path)
{
	char folder[FILE_PATH_MAX];
	struct stat st;
	const char *name;

	if (strlen(path) >= sizeof(folder))
		return say_error(CA_FAILED, "%s: %s", path, strerror(ENAMETOOLONG));
	snprintf(folder, sizeof(folder), "%s", path);
	name = dirname(folder);
	if (stat(name, &st) == 0)
		return 0;
	if (mkdir(name, 0755) == 0 && chmod(name, 0755) == 0)
		return 0;
	return say_error(CA_FAILED, "%s: cannot make this folder: %s", name, strerror(errno));
}

static int refuse_existing(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return 0;
	return say_error(CA_FAILED,
			 "%s: is there already; --force replaces it, and whoever trusts the old CA "
			 "has to be given the new one",
			 path);
}

static int write_failed(const char *path, int rc)
{
	return say_error(CA_FAILED, "%s: cannot be written: %s%s", path, strerror(-rc),
			 rc == -EACCES || rc == -EPERM ? "; run as root, or choose --dir" : "");
}

/* Both are whole beside their places before either is moved there. */
static int write_pair(const struct options *options, const char *cert, const void *key,
		      size_t key_len, const struct file_access *key_access)
{
	const struct file_access cert_access = {0644, (uid_t)-1, (gid_t)-1};
	struct new_file cert_file, key_file;
	const char *path = options->cert;
	int rc;

	key_file.made = false;
	rc = file_begin(&cert_file, options->cert, cert, strlen(cert), &cert_access);
	if (!rc) {
		path = options->key;
		rc = file_begin(&key_file, options->key, key, key_len, key_access);
	}
	if (!rc)
		rc = file_commit(&key_file, options->force);
	if (!rc) {
		path = options->cert;
		rc = file_commit(&cert_file, options->force);
		if (rc && !options->force)
			unlink(options->key);
	}
	file_abandon(&key_file);
	file_abandon(&cert_file);
	return rc ? write_failed(path, rc) : 0;
}

static int write_files(const struct options *options, X509 *cert, EVP_PKEY *key,
		       const struct file_access *key_access)
{
	BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when freed */
	char *pem = authority_pem(cert), *bytes;
	int rc = CA_FAILED;

	if (bio && pem && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) {
		long len = BIO_get_mem_data(bio, &bytes);

		rc = write_pair(options, pem, bytes, (size_t)len, key_access);
	} else {
		no_memory();
	}
	BIO_free(bio);
	free(pem);
	return rc;
}

/* The CA that is replaced may still be trusted: by what is its file known? */
static void old_label(const struct options *options, char label[static AUTHORITY_LABEL])
{
	struct stat st;
	X509 *old = NULL;

	*label = '\0';
	if (!options->force || stat(options->cert, &st))
		return;
	if (authority_read(options->cert, &old) == 0)
		authority_label(old, label);
	X509_free(old);
}

static void tell(const struct options *options, X509 *cert, const char *old)
{
	char fingerprint[AUTHORITY_FINGERPRINT_TEXT];

	authority_fingerprint(cert, fingerprint);
	say("certificate  %s", options->cert);
	say("key          %s", options->key);
	say("SHA-256      %s", fingerprint);
	if (*old)
		say("The CA that was here before (%s) stays in the stores that it was put into; "
		    "`ksplit-ca remove --all` takes all of them out.",
		    old);
	say("Next: `ksplit-ca install` puts it into this host's trust store.");
}

static int make_and_write(const struct options *options, const struct file_access *key_access)
{
	char host_name[AUTHORITY_NAME_MAX + 1], old[AUTHORITY_LABEL];
	NAME_CONSTRAINTS *constraints = NULL;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int rc;

	old_label(options, old);
	rc = constraints_make(&options->permit, &options->exclude, &constraints);
	if (!rc)
		rc = authority_make(options->name ? options->name
						  : name_default(host_name, sizeof(host_name)),
				    options->days, constraints, &cert, &key);
	if (!rc)
		rc = folder_make(options->cert);
	if (!rc)
		rc = folder_make(options->key);
	if (!rc)
		rc = write_files(options, cert, key, key_access);
	if (!rc)
		tell(options, cert, old);
	NAME_CONSTRAINTS_free(constraints);
	EVP_PKEY_free(key);
	X509_free(cert);
	return rc;
}

int command_init(const struct options *options)
{
	struct file_access key_access = {0600, (uid_t)-1, (gid_t)-1};
	int rc = options->name ? check_name(options->name) : 0;

	if (!rc && strcmp(options->cert, options->key) == 0)
		rc = say_error(CA_USAGE, "--key: expected another file than the certificate's, "
					 "which everybody may read");
	if (!rc && !options->force)
		rc = refuse_existing(options->cert);
	if (!rc && !options->force)
		rc = refuse_existing(options->key);
	if (!rc)
		rc = find_owner(options->user, &key_access);
	return rc ? rc : make_and_write(options, &key_access);
}
