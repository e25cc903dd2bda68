// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "look.h"

#define DAYS_LEFT_WARN 30

/* Is there a file to look at? Says so when not. */
static bool is_named(struct look *look, const char *path, const char *key)
{
	if (*path)
		return true;
	if (look->settings->rc)
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "no configuration names it");
	else if (look->settings->incoming_alone && !*look->settings->ca_cert &&
		 !*look->settings->ca_key)
		look_tell(look, VERDICT_OK, NULL, NULL,
			  "not needed: all listeners are for incoming calls");
	else
		look_tell(look, VERDICT_FAIL, NULL, "add it to the configuration (ksplit.json(5))",
			  "\"ca.%s\" is not in %s: ksplitd will not start", key,
			  look->settings->path);
	return false;
}

/* A file that cannot be opened: what that means. */
static void tell_unreadable(struct look *look, const char *path, int err)
{
	if (err == EACCES && geteuid() != 0)
		look_tell(look, VERDICT_NOT_TRIED, path, NULL, "needs root: %s", strerror(err));
	else
		look_tell(look, VERDICT_FAIL, path,
			  err == ENOENT ? "ksplit-ca init; \"ca\" in ksplit.json names its files"
					: NULL,
			  "cannot be read: %s", strerror(err));
}

/* Opens a file, and nothing that reading would wait for. NULL with errno. */
static FILE *file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fdopen(fd, "r");
	close(fd);
	errno = EINVAL;
	return NULL;
}

/* The first certificate of the file; the caller frees it. NULL after having told why, if it is to.
 */
static X509 *cert_read(struct look *look, bool tell)
{
	const char *path = look->settings->ca_cert;
	FILE *file = file_open(path);
	X509 *cert;

	if (!file) {
		if (tell)
			tell_unreadable(look, path, errno);
		return NULL;
	}
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (!cert && tell)
		look_tell(look, VERDICT_FAIL, path, "openssl x509 -in FILE -noout -text",
			  "no PEM certificate in it");
	return cert;
}

static void date_text(const ASN1_TIME *time, char text[16])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || !strftime(text, 16, "%Y-%m-%d", &tm))
		snprintf(text, 16, "?");
}

/* False: told that it is not valid now. */
static bool cert_is_valid_now(struct look *look, const X509 *cert)
{
	const char *path = look->settings->ca_cert;
	char date[16];
	int days = 0, seconds = 0;

	date_text(X509_get0_notBefore(cert), date);
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
		look_tell(look, VERDICT_FAIL, path,
			  "date; set the clock (timedatectl set-ntp true), or make a new CA",
			  "valid from %s only: this host's clock is behind, or the CA was made in "
			  "the future",
			  date);
		return false;
	}
	date_text(X509_get0_notAfter(cert), date);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
		look_tell(look, VERDICT_FAIL, path, "ksplit-ca init --force; ksplit-ca install",
			  "expired on %s: every client refuses what it signs", date);
		return false;
	}
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) == 1 &&
	    days < DAYS_LEFT_WARN) {
		look_tell(look, VERDICT_WARN, path, "ksplit-ca init --force; ksplit-ca install",
			  "expires on %s, in %d days", date, days);
		return false;
	}
	return true;
}

void look_ca_cert(struct look *look)
{
	const char *path = look->settings->ca_cert;
	char date[16];
	X509 *cert;

	if (!is_named(look, path, "cert"))
		return;
	cert = cert_read(look, true);
	if (!cert)
		return;
	if (!(X509_get_extension_flags(cert) & EXFLAG_CA)) {
		look_tell(look, VERDICT_FAIL, path, "ksplit-ca init makes one",
			  "not the certificate of a CA (basicConstraints CA:TRUE)");
	} else if (!(X509_get_key_usage(cert) & KU_KEY_CERT_SIGN)) {
		look_tell(look, VERDICT_FAIL, path, "ksplit-ca init makes one",
			  "its keyUsage has no keyCertSign: it may not sign certificates");
	} else if (cert_is_valid_now(look, cert)) {
		date_text(X509_get0_notAfter(cert), date);
		look_tell(look, VERDICT_OK, path, NULL, "a CA's certificate, valid until %s", date);
	}
	X509_free(cert);
}

/* The owner is root, whoever runs this, or the user that ksplitd becomes. */
static void tell_key_mode(struct look *look, const char *path, const struct stat *status)
{
	const struct passwd *owner = getpwuid(status->st_uid);
	char mend[FINDING_MEND], word[SETTINGS_TEXT];

	look_quote(path, word, sizeof(word));
	if (status->st_mode & (S_IRWXG | S_IRWXO)) {
		snprintf(mend, sizeof(mend), "chmod 600 %s", word);
		look_tell(look, status->st_mode & (S_IWGRP | S_IRWXO) ? VERDICT_FAIL : VERDICT_WARN,
			  path, mend,
			  "mode %04o: others than its owner can use it, and so forge any "
			  "certificate that this host trusts",
			  (unsigned int)status->st_mode & 07777);
	} else if (status->st_uid != 0 && status->st_uid != geteuid() &&
		   !(owner && strcmp(owner->pw_name, look->settings->user) == 0)) {
		snprintf(mend, sizeof(mend), "chown root: %s", word);
		look_tell(look, VERDICT_WARN, path, mend,
			  "belongs to %s: whoever is that user has the key",
			  owner ? owner->pw_name : "a user without a name");
	} else {
		look_tell(look, VERDICT_OK, path, NULL, "for %s alone (mode %04o)",
			  owner ? owner->pw_name : "its owner",
			  (unsigned int)status->st_mode & 07777);
	}
}

void look_ca_key(struct look *look)
{
	const char *path = look->settings->ca_key;
	struct stat status;
	FILE *file;

	if (!is_named(look, path, "key"))
		return;
	/* By its mode alone where it may not be read: that needs no privilege. */
	if (stat(path, &status)) {
		tell_unreadable(look, path, errno);
		return;
	}
	file = file_open(path);
	if (!S_ISREG(status.st_mode))
		look_tell(look, VERDICT_FAIL, path, NULL, "not a file");
	else if (!file && !(errno == EACCES && geteuid() != 0))
		tell_unreadable(look, path, errno);
	else
		tell_key_mode(look, path, &status);
	if (file)
		fclose(file);
}

/* There is nobody to type a password. */
static int no_password(char *buf, int size, int writing, void *context)
{
	bool *wanted = context;

	(void)buf;
	(void)size;
	(void)writing;
	*wanted = true;
	return -1;
}

void look_ca_match(struct look *look)
{
	const char *path = look->settings->ca_key;
	bool wanted = false;
	EVP_PKEY *key;
	X509 *cert;
	FILE *file;

	if (!is_named(look, path, "key") || !is_named(look, look->settings->ca_cert, "cert"))
		return;
	cert = cert_read(look, false);
	file = file_open(path);
	if (!cert || !file) {
		look_tell(look, VERDICT_NOT_TRIED, NULL, NULL, "one of the two cannot be read");
		return;
	}
	/* stdio's buffer would keep the key. */
	setvbuf(file, NULL, _IONBF, 0);
	key = PEM_read_PrivateKey(file, NULL, no_password, &wanted);
	fclose(file);
	if (!key)
		look_tell(look, VERDICT_FAIL, path,
			  wanted ? "openssl pkey -in FILE -out FILE.new" : NULL,
			  wanted ? "protected by a password: ksplitd has nobody to ask"
				 : "no PEM private key in it");
	else if (X509_check_private_key(cert, key) != 1)
		look_tell(look, VERDICT_FAIL, path, "name the key that was made with ca.cert",
			  "not the key of %s: ksplitd will not start", look->settings->ca_cert);
	else
		look_tell(look, VERDICT_OK, path, NULL, "the key of the certificate");
	EVP_PKEY_free(key);
	X509_free(cert);
}

/* As any program of this host does that asks OpenSSL for its default store. */
void look_trust_store(struct look *look)
{
	const char *path = look->settings->ca_cert;
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	char mend[FINDING_MEND], word[SETTINGS_TEXT];
	X509 *cert;

	if (!is_named(look, path, "cert"))
		return;
	cert = cert_read(look, false);
	if (!cert || !store || !context) {
		look_tell(look, VERDICT_NOT_TRIED, path, NULL, "the certificate cannot be read");
		return;
	}
	snprintf(mend, sizeof(mend), "ksplit-ca install --cert %s",
		 look_quote(path, word, sizeof(word)));
	if (X509_STORE_set_default_paths(store) != 1 ||
	    X509_STORE_CTX_init(context, store, cert, NULL) != 1)
		look_tell(look, VERDICT_NOT_TRIED, path, NULL,
			  "OpenSSL cannot open this host's store");
	else if (X509_verify_cert(context) == 1)
		look_tell(look, VERDICT_OK, path, NULL, "trusted by this host's store");
	else
		look_tell(
			look, VERDICT_WARN, path, mend,
			"not trusted by this host's store (%s): programs that are not told of the "
			"CA by name refuse what it signs",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	X509_free(cert);
}
